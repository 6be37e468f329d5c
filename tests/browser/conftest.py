"""The app in a real browser, as people use it; skipped without Playwright or Chromium.

Every test leaves a screenshot in the folder SCREENSHOTS, if the environment names one.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from synth import TASKS
from tests.conftest import bundled, serve

HARMLESS = ("Failed to load resource", "AbortError", "errored out", "No draw texture found for layer")
"""What the console says of requests that a reload or the end of a test cut off, and of a mask that the editor begins
with: it loads this twice, and draws the second."""


class Call(NamedTuple):
    """What a task was asked to do."""

    task: str
    checkpoint: str
    settings: dict


@pytest.fixture(scope="session")
def session_server(checkpoints):
    with ExitStack() as stack:
        with bundled(checkpoints):
            address = stack.enter_context(serve())
        yield address


@pytest.fixture
def server(session_server, tiny) -> str:
    """One server for all files: to build the page takes longer than most tests."""
    return session_server


@pytest.fixture
def page(browser, server, request):
    """The app in a browser; fails the test if its console shows an error or it asks another host for anything."""
    page, errors = browser.new_page(), []

    def note_message(message):
        if message.type == "error" and not any(words in message.text for words in HARMLESS):
            errors.append(message.text)

    def note_request(request):
        if not request.url.startswith((server, "data:", "blob:")):
            errors.append(request.url)

    page.on("console", note_message)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", note_request)
    page.goto(server)
    page.locator("button:text-is('Run'):visible").wait_for()
    yield page
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{request.node.name}.png", full_page=True)
    page.close()
    assert errors == []


@pytest.fixture
def calls(monkeypatch) -> list[Call]:
    """The calls of tasks, as they come in."""
    calls = []
    for task in TASKS.values():

        def frames(model, *, _task=task, _frames=task.frames, **settings):
            calls.append(Call(_task.name, model.name, settings))
            return _frames(model, **settings)

        monkeypatch.setattr(task, "frames", frames)
    return calls
