"""One Chromium for all tests of a process; skipped without Playwright or Chromium."""

from __future__ import annotations

import shutil
import tempfile

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
FLAGS += " disable-component-update"


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver, tempfile.TemporaryDirectory() as profile:
        arguments = [f"--{flag}" for flag in FLAGS.split()]
        context = driver.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=arguments)
        context.set_default_timeout(90_000)
        playwright.expect.set_options(timeout=90_000)
        yield context
        context.close()
