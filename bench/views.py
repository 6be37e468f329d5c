"""Screenshots of every tab, to look at: ``python -m bench.views FOLDER``. Needs Chromium.

FOLDER/desktop, phone and dark get TAB-first.png, the tab as it opens, and TAB-after.png, after its main gesture: for
another seed where nothing is given, with the left half masked where there is a mask, from another example elsewhere.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.browser import PAINTED, SAYS, VIEW, launch
from bench.clients import serving
from synth import TASKS, Task
from synth.web.checkpoints import first_checkpoint, load

LOOKS = {
    "desktop": {"viewport": VIEW},
    "phone": {"viewport": {"width": 390, "height": 844}},
    "dark": {"viewport": VIEW, "color_scheme": "dark"},
}
"""What a visitor's browser says of itself, by the name of the folder."""
EDITOR, PICTURE = 20_000, 2500
"""Milliseconds until an editor has faded its picture in, slowly without a GPU, and until any other tab is still."""
OPEN = "div[role=tabpanel]:visible"


def make_gesture(page: Page, task: Task) -> None:
    """What one would do next in the tab of ``task``, and wait for what comes of it."""
    panel = page.locator(OPEN)
    if "picture" not in task.parameters:
        panel.locator("button:text-is('Another seed')").click()
    else:
        if "mask" in task.parameters:
            panel.locator(".masks button:text-is('Left half')").click()
        else:
            panel.locator("button.thumbnail-item >> nth=1").click()
        page.wait_for_timeout(PICTURE)
        panel.locator("button:text-is('Run')").click()
    page.wait_for_function(SAYS, arg=["Done in"])


def save(page: Page, path: Path) -> None:
    page.wait_for_timeout(PICTURE)
    page.wait_for_function(PAINTED)
    page.screenshot(path=path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.views", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="for the screenshots")
    parser.add_argument("--looks", nargs="+", choices=LOOKS, default=LOOKS, help="only these")
    options = parser.parse_args()
    model = load(first_checkpoint())
    with serving() as (address, *_), sync_playwright() as driver:
        browser = launch(driver)
        for look in options.looks:
            folder = options.folder / look
            folder.mkdir(parents=True, exist_ok=True)
            page = browser.new_page(**LOOKS[look])
            page.set_default_timeout(120_000)
            page.goto(address)
            page.locator(".result img:visible").first.wait_for()
            for task in (task for task in TASKS.values() if task.supports(model)):
                page.locator(f"#tab-{task.name}-button").click()
                page.wait_for_timeout(EDITOR if task.drawn or "mask" in task.parameters else 0)
                save(page, folder / f"{task.name}-first.png")
                make_gesture(page, task)
                save(page, folder / f"{task.name}-after.png")
                print(look, task.title, flush=True)
            page.locator("button[role=tab]:has-text('Evidence')").click()
            save(page, folder / "evidence-first.png")
            page.mouse.wheel(0, VIEW["height"] // 2)
            save(page, folder / "evidence-after.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
