"""The app as a visitor sees it: ``python -m bench.browser``. Seconds from click to picture, and docs/app/TASK.png.

It starts the app with the bundled default checkpoint, opens it in headless Chromium, and presses Run in each tab as it
stands, several times. The table gives medians until the first frame is on the page and until the run is done.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from bench.load import ROOT, serving
from synth import TASKS, Task

FLAGS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
SAYS = """words => [...document.querySelectorAll('.status')].some(
    part => part.offsetParent && words.some(word => part.innerText.trim().startsWith(word)))"""
VIEW = {"width": 1280, "height": 1100}


def visit(page: Page, task: Task, times: int, folder: Path) -> tuple[float, float]:
    """Median seconds to the first frame and to the end of the task's default run; leaves a screenshot."""
    page.locator(f"button[role=tab]:has-text('{task.title}')").click()
    panel = page.locator("div[role=tabpanel]:visible")
    page.wait_for_timeout(2000)
    first, done = [], []
    for _ in range(times + 1):
        began = time.monotonic()
        panel.locator("button:text-is('Run')").click()
        page.wait_for_function(SAYS, arg=["step", "done: step"])
        first.append(time.monotonic() - began)
        page.wait_for_function(SAYS, arg=["done: step"])
        done.append(time.monotonic() - began)
        page.wait_for_timeout(2500)  # until then a click is part of the run before
    page.screenshot(path=folder / f"{task.name}.png")
    return statistics.median(first[1:]), statistics.median(done[1:])  # the first run also loads and warms up


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.browser", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="runs a tab")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/app", help="folder of the screenshots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with serving() as (address, *_), sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=[f"--{flag}" for flag in FLAGS.split()])
        page = browser.new_page(viewport=VIEW)
        page.goto(address)
        page.locator("button:text-is('Run'):visible").wait_for()
        print("| tab | first frame, s | done, s |\n|---|---|---|")
        for task in TASKS.values():
            first, done = visit(page, task, options.times, options.output)
            print(f"| {task.title} | {first:.2f} | {done:.2f} |", flush=True)
        page.set_viewport_size({"width": 400, "height": 900})
        page.wait_for_timeout(1000)
        page.screenshot(path=options.output / "phone.png")
        browser.close()


if __name__ == "__main__":
    main()
