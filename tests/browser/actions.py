"""What visitors do on the page. Each action waits until the page shows what it brings about."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import torch
from PIL import Image

from synth import TASKS, pictures
from synth.web.editor import SIDE

expect = pytest.importorskip("playwright.sync_api").expect
TWO_FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def in_tab(page, selector: str):
    """The first match in the tab that is open."""
    return page.locator(f"div[role=tabpanel]:visible {selector}").first


def open_tab(page, task: str) -> None:
    page.locator(f"button[role=tab]:has-text('{TASKS[task].title}')").click()
    in_tab(page, "button:text-is('Run')").wait_for()
    if "mask" in TASKS[task].parameters or TASKS[task].drawn:
        wait_for_editor(page, task)


def wait_for_editor(page, task: str) -> None:
    """Until the picture is loaded and fills the canvas, that fills its column, and the brush is taken."""
    editor = page.locator(f"#editor-{task}")
    expect(editor).to_have_attribute("data-loaded", "")
    expect(editor.locator("button[aria-label=Brush]")).to_have_class(re.compile("highlight"))
    expect(editor.locator(".zoom-number")).to_have_text(re.compile(r"8[1-9]|9\d|1\d\d"))
    column = editor.evaluate("editor => editor.parentElement.offsetWidth")
    expect(editor.locator("canvas").first).to_have_js_property("offsetWidth", column)


def run(page, status: str = "Done in") -> None:
    """Press Run and wait for all that a run brings; the link in the address bar is the last."""
    page.evaluate("history.replaceState(null, '', '/')")
    in_tab(page, "button:text-is('Run')").click()
    page.wait_for_function("location.search")
    in_tab(page, f":text('{status}')").wait_for()


def show_pixels(page) -> None:
    """Have the open tab show its results pixel by pixel, as the files have them."""
    in_tab(page, "label:has-text('Show pixels') input").check()


def open_fold(page, title: str) -> None:
    """Open a fold of the page or of the open tab, unless it is open; again where the page was still building it."""
    fold = page.locator(f"button.label-wrap:visible:has-text('{title}')").first
    for _ in range(20):
        if "open" in (fold.get_attribute("class") or "").split():
            return
        fold.click()
        page.wait_for_timeout(100)


def set_number(page, label: str, value) -> None:
    """Type a number, again where the page was still building its slider and did not notice.

    One that has no slider, such as the seed, comes after one that has, so that the page is ready for it.
    """
    open_fold(page, "Settings")
    number = in_tab(page, f"input[type=number][aria-label*='{label}']")
    slider = page.locator(f"div[role=tabpanel]:visible input[type=range][aria-label*='{label}']")
    for _ in range(20):
        number.fill(str(value))
        number.press("Tab")
        page.wait_for_timeout(100)
        if not slider.count() or float(slider.first.input_value()) == float(value):
            return


def choose(page, label: str, value: str) -> None:
    """Choose from a menu of the open tab, or of those above all tabs."""
    page.locator(f"input[aria-label^='{label}']:visible").first.click()
    page.locator(f"ul[role=listbox] li:has-text('{value}')").first.click()


def take_mask_off(page, task: str) -> None:
    """Press the button for no mask, and wait until the editor shows the picture alone."""
    canvas = page.locator(f"#editor-{task} canvas").first
    before = canvas.screenshot()
    in_tab(page, ".masks button:text-is('Nothing')").click()
    for _ in range(60):
        page.wait_for_timeout(500)
        if canvas.screenshot() != before:
            break
    wait_for_editor(page, task)


def draw_stroke(page, task: str, below: int = 0) -> None:
    """A brush stroke across the middle of the task's picture, again where the browser was too busy to see it begin."""
    canvas = in_tab(page, f"#editor-{task} canvas")
    canvas.evaluate("canvas => canvas.scrollIntoView({block: 'center'})")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + below
    middle = {"x": x - 5, "y": y - 5, "width": 10, "height": 10}
    before = page.screenshot(clip=middle)
    for _ in range(5):
        page.mouse.move(x - 60, y + 20)
        page.mouse.move(x - 40, y, steps=2)
        page.evaluate(TWO_FRAMES)
        page.mouse.down()
        page.evaluate(TWO_FRAMES)
        page.mouse.move(x + 40, y, steps=3)
        page.mouse.up()
        page.mouse.move(0, 0)
        page.evaluate(TWO_FRAMES)
        if page.screenshot(clip=middle) != before:
            return
    raise AssertionError("no stroke was drawn")


def see(page, task: str) -> bytes:
    """What the task's editor shows, as a PNG."""
    return in_tab(page, f"#editor-{task} canvas").screenshot()


def wait_for_another_picture(page, task: str, before: bytes) -> None:
    """Until the task's editor shows something else than ``before`` and no longer changes."""
    earlier = before
    for _ in range(100):
        now = see(page, task)
        if before != now == earlier:
            return
        page.evaluate(TWO_FRAMES)
        earlier = now
    raise AssertionError("the editor shows the same picture")


def upload(page, path: Path) -> None:
    """Upload a picture in place of the tab's, once the page has cropped it."""
    in_tab(page, "button[aria-label='Remove Image']").evaluate("button => button.click()")
    page.set_input_files("div[role=tabpanel]:visible input[type=file]", path)
    wait_for_input(page)


def wait_for_input(page) -> None:
    """Until the tab's picture is one that the page put there."""
    expect(in_tab(page, ".image-frame img")).to_have_js_property("naturalWidth", SIDE)


def result(page, selector: str = ".result img:visible >> nth=-1") -> Image.Image:
    """What an image on the page shows, to the bit; of a slider the picture that came out."""
    source = in_tab(page, selector).get_attribute("src")
    return Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB")


def download(page, button: str) -> Path:
    with page.expect_download() as download:
        in_tab(page, button).click()
    return Path(download.value.path())


def to_tensor(image) -> torch.Tensor:
    """A picture of the page at the size of the tests' checkpoints."""
    return pictures.to_tensor(pictures.read(image), 32)
