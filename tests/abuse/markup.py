"""Names and settings that are markup, in a real browser: shown as they are, never run, and nothing is fetched."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlencode

import pytest
from PIL import Image

from synth import TASKS, checkpoint
from synth.features import Feature, FeatureGallery
from tests.abuse.measure import attack
from tests.abuse.server import publicly, serving
from tests.conftest import draw_picture, make_decoders, make_model, make_start

SCRIPT = "<script>window.pwned=1</script>"
HANDLER = "<img src='{canary}/x.png' onerror='window.pwned=1'>"
MARKDOWN = "![x]({canary}/y.png) [y](javascript:window.pwned=1)"
FRAME = "<svg/onload=window.pwned=1><iframe src='{canary}/z'>"


@pytest.fixture(scope="module")
def marked_server(tmp_path_factory, canary):
    """The app with a checkpoint whose every name is markup."""
    names = [name.format(canary=canary.address) for name in (SCRIPT, HANDLER, MARKDOWN, FRAME)]
    folder = tmp_path_factory.mktemp("marked")
    more = {"groups": {names[1]: names[:2], names[3]: names[2:]}, "pairs": [(names[0], names[1])]}
    more |= {"presets": {"generation": {names[3]: {"steps": 1}, "tuned": {"steps": 1}}}, "info": {"name": names[1]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.conftest.CLASSES", names)
        model = make_model(**more)
    model.start_tensors, model.decoders = make_start(), make_decoders(model)
    model.decoders[names[1]] = model.decoders.pop("squares")
    checkpoint.save(folder / "tiny", model)
    pictures = (Feature(i, Image.new("RGB", (32, 32)), {names[i % 4]: 0.5}, lifts=64 - i) for i in range(64))
    checkpoint.add(folder / "tiny", features=FeatureGallery(pictures))
    (folder / "tiny" / "examples").mkdir()
    draw_picture().save(folder / "tiny" / "examples" / "<b>bold<img src=x onerror=window.pwned=1>.png")
    with serving(folder, tmp_path_factory.mktemp("uploads")) as server:
        server.names, server.checkpoints = names, folder
        yield server


@pytest.fixture
def victim(browser, marked_server, canary):
    """A page in a browser; nothing of it may have run or been fetched when the test ends."""
    page, outside = browser.new_page(), []

    def note(request):
        if not request.url.startswith((marked_server.address, "data:", "blob:")):
            outside.append(request.url)

    page.on("request", note)
    page.on("dialog", lambda dialog: outside.append(dialog.message))
    canary.requests.clear()
    with publicly(marked_server.checkpoints, marked_server.folder):
        yield page
    page.wait_for_timeout(300)
    assert page.evaluate("window.pwned") is None
    page.close()
    assert outside == [] and canary.requests == []


def ready(page, address: str) -> None:
    page.goto(address)
    page.locator("button:text-is('Run'):visible").wait_for()


@attack("harmless")
def test_names_that_are_markup(victim, marked_server):
    """in a browser: a checkpoint whose classes, groups, presets, decoders, features, examples and name are markup"""
    ready(victim, marked_server.address)
    for task in ("painting", "anomaly_detection", "generation"):
        victim.locator(f"button[role=tab]:has-text('{TASKS[task].title}')").click()
    run = victim.locator("div[role=tabpanel]:visible button:text-is('Run')").first
    wanted = victim.locator("div[role=tabpanel]:visible input[aria-label^='Class']").first
    for index, name in enumerate(marked_server.names):
        wanted.click()
        options = victim.locator("ul[role=listbox] li")
        options.nth(options.count() - len(marked_server.names) + index).click()
        run.click()
        status = victim.locator("div[role=tabpanel]:visible .status", has_text=f"The model sees {name} in")
        status.first.wait_for()  # so it is shown as it is


LINKS = {
    "as task": {"task": HANDLER},
    "as checkpoint": {"task": "generation", "checkpoint": HANDLER},
    "as Markdown in the checkpoint": {"task": "generation", "checkpoint": MARKDOWN},
    "as class": {"task": "generation", "checkpoint": "tiny", "class_name": FRAME + "x"},
    "as the name of a setting": {"task": "generation", "checkpoint": "tiny", HANDLER: "1"},
    "as steps": {"task": "generation", "checkpoint": "tiny", "steps": SCRIPT},
}


@attack("refused")
@pytest.mark.parametrize("case", LINKS)
def test_links_that_are_markup(victim, marked_server, canary, case):
    """in a browser: a link with markup"""
    query = {
        key.format(canary=canary.address): value.format(canary=canary.address) for key, value in LINKS[case].items()
    }
    ready(victim, f"{marked_server.address}?{urlencode(query)}")
    toast = victim.locator(".toast-body").first
    toast.wait_for()
    assert "expected" in toast.inner_text() and toast.locator("img, script, svg[onload], iframe").count() == 0


@attack("refused")
def test_a_picture_whose_settings_are_markup(victim, marked_server, canary, tmp_path):
    """in a browser: a dropped PNG with markup as settings"""
    from playwright.sync_api import Error

    from tests.abuse.pictures import with_settings

    text = HANDLER.format(canary=canary.address)
    record = {"task": "generation", "checkpoint": text, "settings": {"class_name": text}}
    with_settings(Path(tmp_path / "x.png"), json.dumps(record))
    ready(victim, marked_server.address)
    toast = victim.locator(".toast-body").first
    for patience in (30_000, 40_000, 60_000):  # the page may not listen yet; an impatient second click would close it
        if not victim.locator(".repeat input[type=file]").count():
            victim.locator("button:has-text('repeat a picture')").click()
        with suppress(Error if patience < 60_000 else ()):
            victim.set_input_files(".repeat input[type=file]", tmp_path / "x.png", timeout=patience)
            toast.wait_for(timeout=patience)
            break
    assert "checkpoint: expected" in toast.inner_text() and toast.locator("img").count() == 0
