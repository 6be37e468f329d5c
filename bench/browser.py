"""The app as a visitor sees it: ``python -m bench.browser``. Seconds from click to picture, and docs/app/TASK.webp.

It starts the app and opens it in headless Chromium as newcomers do, with nothing stored, who press Run at once. Then it
takes a screenshot of each tab as it opens, and presses Run there several times, with the checkpoint that the app opens
with, and in the tabs that this one cannot do with the default one. It writes docs/performance.md: medians until the
first picture is on the page, or the first frame, and until the run is done; and how much the page itself works.
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import time
from contextlib import closing
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, CDPSession, Page, Playwright, sync_playwright

from bench.clients import ROOT, serving
from synth import TASKS, Task, hub
from synth.web.checkpoints import first_checkpoint, load, title
from training.overview import fill
from training.tables import table

FLAGS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
SAYS = """words => [...document.querySelectorAll('.status')].some(
    part => part.offsetParent && words.some(word => part.innerText.trim().startsWith(word)))"""
LOADED = "() => ![...document.querySelectorAll('.run button')].some(button => button.disabled)"
PAINTED = """() => [...document.images].every(image => {
    const {width, top, left} = image.getBoundingClientRect()
    return !width || top > innerHeight || left > innerWidth || image.complete && image.naturalWidth
})"""
WORK = "What the page itself works, on the one thread that also shows everything, for a visitor who does this in turn:"
VIEW = {"width": 1280, "height": 1100}
MENU = "input[aria-label^='Model']"


def launch(driver: Playwright) -> Browser:
    """The Chromium of this machine, without a window."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    return driver.chromium.launch(executable_path=chromium, args=[f"--{flag}" for flag in FLAGS.split()])


def open_as_newcomer(driver: Browser, address: str) -> tuple[float, float]:
    """Seconds from opening the page to its first picture, and to the one that pressing Run at once makes."""
    with closing(driver.new_context(viewport=VIEW)) as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        began = time.monotonic()
        page.goto(address)
        page.locator(".result img:visible").first.wait_for()
        shown = time.monotonic() - began
        page.locator("div[role=tabpanel]:visible button:text-is('Run')").click()
        page.wait_for_function(SAYS, arg=["Done in"])
        return shown, time.monotonic() - began


def page_work(driver: Browser, address: str) -> list[list[str]]:
    """What a visitor does, one after the other, and the seconds that the page's own thread works for each."""
    with closing(driver.new_context(viewport=VIEW)) as context:
        page = context.new_page()
        page.set_default_timeout(120_000)
        session = context.new_cdp_session(page)
        session.send("Performance.enable")
        page.goto(address)
        page.locator(".result img:visible").first.wait_for()
        worked = [0.0, work_until_rest(page, session)]
        run_once(page)
        worked.append(work_until_rest(page, session))
        choose_default(page)
        worked.append(work_until_rest(page, session))
        run_once(page)
        worked.append(work_until_rest(page, session))
    names = ("opens the page", "runs Generate", "changes the checkpoint", "runs Generate again")
    return [[name, f"{now - before:.1f}"] for name, (before, now) in zip(names, pairwise(worked), strict=True)]


def work_until_rest(page: Page, session: CDPSession) -> float:
    """Seconds that the page's own thread has worked in all, once it does nothing more."""
    before, now = -1.0, 0.0
    while now - before > 0.3:
        page.wait_for_timeout(2000)
        metrics = session.send("Performance.getMetrics")["metrics"]
        before, now = now, next(one["value"] for one in metrics if one["name"] == "TaskDuration")
    return now


def run_once(page: Page) -> None:
    page.locator("div[role=tabpanel]:visible button:text-is('Run')").click()
    page.wait_for_timeout(500)
    page.wait_for_function(SAYS, arg=["Done in"])


def choose_default(page: Page) -> None:
    """Change to the bundled default checkpoint."""
    page.locator(MENU).fill(hub.default())
    page.locator(MENU).press("Enter")
    page.wait_for_timeout(500)  # until the page has begun
    page.wait_for_function(LOADED)


def visit(page: Page, task: Task, times: int, folder: Path) -> tuple[float, float]:
    """Median seconds to the first frame and to the end of the task's default run; a screenshot of it as it opens."""
    page.locator(f"#tab-{task.name}-button").click()
    panel = page.locator("div[role=tabpanel]:visible")
    drawing = task.drawn or "mask" in task.parameters
    page.wait_for_timeout(20_000 if drawing else 2000)  # an editor fades its picture in, slowly without a GPU
    first, done = [], []
    save_screenshot(page, folder / f"{task.name}.webp")
    for _ in range(times + 1 if times else 0):
        began = time.monotonic()
        panel.locator("button:text-is('Run')").click()
        page.wait_for_function(SAYS, arg=["Step", "Done in"])
        first.append(time.monotonic() - began)
        page.wait_for_function(SAYS, arg=["Done in"])
        done.append(time.monotonic() - began)
        page.wait_for_timeout(2500)  # until then a click is part of the run before
    medians = (statistics.median(values[1:] or [float("nan")]) for values in (first, done))
    return tuple(medians)  # without the first run, which also loads and warms up


def save_screenshot(page: Page, path: Path) -> None:
    """Once all pictures in sight are there."""
    page.wait_for_function(PAINTED)
    image = Image.open(io.BytesIO(page.screenshot()))
    image.convert("RGB").save(path, quality=60, method=6)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.browser", description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=3, help="runs a tab, 0 for the screenshots alone")
    parser.add_argument("--output", type=Path, default=ROOT / "docs/app", help="folder of the screenshots")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with serving() as (address, *_), sync_playwright() as driver:
        browser = launch(driver)
        newcomers = [open_as_newcomer(browser, address) for _ in range(options.times)]
        page = browser.new_page(viewport=VIEW)
        page.set_default_timeout(120_000)
        page.goto(address)
        page.locator(".result img:visible").first.wait_for()
        save_screenshot(page, options.output / "first.webp")
        model, rows = load(first_checkpoint()), []
        tasks = sorted(TASKS.values(), key=lambda task: not task.supports(model))
        for task in tasks:
            if not task.supports(model) and title(hub.default()) != page.locator(MENU).input_value():
                choose_default(page)
                page.locator(f"#tab-{task.name}-button").wait_for()
            first, done = visit(page, task, options.times, options.output)
            rows.append([task.title, f"{first:.2f}", f"{done:.2f}"])
            print(*rows[-1], flush=True)
        if newcomers:
            shown, made = (f"{statistics.median(times):.1f}" for times in zip(*newcomers, strict=True))
            words = (
                f"A newcomer sees the first picture after {shown} s, and one of their own, having pressed Run, after"
            )
            text = f"{words} {made} s.\n\n{table(['tab', 'first frame, s', 'done, s'], rows)}"
            text += f"\n\n{WORK}\n\n{table(['a visitor', 'the page works, s'], page_work(browser, address))}"
            fill(ROOT / "docs/performance.md", "browser", text)
        page.emulate_media(color_scheme="dark")
        page.wait_for_timeout(1000)
        save_screenshot(page, options.output / "dark.webp")
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 390, "height": 844})
        page.goto(address)
        page.locator(".result img:visible").first.wait_for()
        page.wait_for_timeout(1000)
        save_screenshot(page, options.output / "phone.webp")
        browser.close()


if __name__ == "__main__":
    main()
