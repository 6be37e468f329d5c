"""The static page in a browser; skipped without Chromium, npm or the packages of an export."""

from __future__ import annotations

import importlib.util
import shutil

import pytest

from tests.browser.static.site import Host, serving
from training import browser as static
from training.export import PACKAGES


@pytest.fixture(scope="session")
def site(browser, checkpoints, tmp_path_factory):
    """The complete folder with the checkpoint tiny."""
    absent = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if absent or shutil.which("npm") is None:
        pytest.skip(f"no {', '.join(absent) or 'npm'}")
    folder = tmp_path_factory.mktemp("site") / "page"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("npm_config_fetch_retries", "0")
        try:
            static.install()
        except ValueError as error:
            pytest.skip(str(error))
        static.make(folder, [str(checkpoints / "tiny")])
    return folder


@pytest.fixture(scope="session")
def address(site):
    with serving(site, Host) as address:
        yield address


@pytest.fixture
def host(address):
    Host.requests.clear()
    yield Host
    Host.faults.clear()


@pytest.fixture
def page(browser, host):
    """A page; fails the test if it asks another host for anything, or if a script fails."""
    page, errors = browser.new_page(), []
    page.on("pageerror", lambda error: errors.append(str(error)))

    def note_request(request):
        if not request.url.startswith(("http://127.0.0.1:", "blob:", "data:", "about:")):
            errors.append(request.url)

    page.on("request", note_request)
    yield page
    page.close()
    assert errors == []
