"""The app in a real browser, as people use it; skipped without Chromium.

Every test keeps a screenshot, under SCREENSHOTS if that is set.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synth import TASKS, pictures
from synth.drawings import styles
from synth.web.editor import editable
from synth.web.running import LINE, load
from tests.conftest import draw_picture

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
FILLED = """name => {  // loaded, with the brush taken, the canvas as wide as its column, filled by the picture
    const editor = document.querySelector('#editor-' + name);
    return editor?.matches('[data-loaded]') && editor.querySelector('button[aria-label=Brush].highlight')
        && editor.querySelector('canvas')?.offsetWidth == editor.parentElement.offsetWidth
        && parseInt(editor.querySelector('.zoom-number')?.innerText) > 80
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver, tempfile.TemporaryDirectory() as profile:
        arguments = [f"--{flag}" for flag in FLAGS.split()]
        context = driver.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=arguments)
        context.set_default_timeout(30_000)
        yield context
        context.close()


@pytest.fixture
def page(browser, server, request, tmp_path):
    """The app in a browser; fails the test if its console shows an error or it asks another host for anything."""
    page, errors = browser.new_page(), []
    dropped = ("Failed to load resource", "AbortError", "errored out")  # of requests that a reload or the end cut off

    def heard(message):
        if message.type == "error" and not any(words in message.text for words in dropped):
            errors.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda asked: None if asked.url.startswith((server, "data:", "blob:")) else errors.append(asked.url)
    )
    page.goto(server)
    here(page, "button:text-is('Run')").wait_for()
    yield page
    folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{request.node.name}.png", full_page=True)
    page.close()
    assert errors == []


@pytest.fixture
def received(monkeypatch):
    """What the tasks are asked to do: (name of the task, model, settings)."""
    calls = []
    for task in TASKS.values():

        def heard(model, *, _task=task, _frames=task.frames, **given):
            calls.append((_task.name, model.name, given))
            return _frames(model, **given)

        monkeypatch.setattr(task, "frames", heard)
    return calls


def here(page, selector: str):
    return page.locator(f"div[role=tabpanel]:visible {selector}").first


def switch(page, task: str) -> None:
    page.locator(f"button[role=tab]:has-text('{TASKS[task].title}')").click()
    if page.locator(f"#editor-{task}").count():
        page.wait_for_function(FILLED, arg=task)
        page.wait_for_timeout(500)


def run(page) -> None:
    here(page, "button:text-is('Run')").click()
    here(page, ":text-matches('done: step')").wait_for()
    page.wait_for_timeout(500)  # the last update brings all that can be done with the result


def fill(page, label: str, value) -> None:
    here(page, f"input[aria-label*='{label}']").fill(str(value))
    here(page, f"input[aria-label*='{label}']").press("Tab")


def choose(page, label: str, value: str, *, anywhere: bool = False) -> None:
    (page.locator if anywhere else lambda s: here(page, s))(f"input[aria-label='{label}']").click()
    page.locator(f"ul[role=listbox] >> text='{value}'").click()


def stroke(page, task: str, below: int = 0) -> None:
    """A brush stroke across the middle of the task's picture, again where the browser was too busy to see it begin."""
    canvas = here(page, f"#editor-{task} canvas")
    canvas.evaluate("canvas => canvas.scrollIntoView({block: 'center'})")
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + below
    middle = {"x": x - 5, "y": y - 5, "width": 10, "height": 10}
    before = page.screenshot(clip=middle)
    for _ in range(5):
        page.mouse.move(x - 60, y + 20)
        page.mouse.move(x - 40, y, steps=2)
        page.wait_for_timeout(300)
        page.mouse.down()
        page.wait_for_timeout(100)
        page.mouse.move(x + 40, y, steps=5)
        page.mouse.up()
        page.mouse.move(0, 0)
        if page.screenshot(clip=middle) != before:
            return
    raise AssertionError("no stroke was drawn")


def picture(page, selector: str = ".result img:visible") -> Image.Image:
    """What an image on the page shows, to the bit."""
    source = here(page, selector).get_attribute("src")
    return Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB")


def saved(page, button: str) -> Path:
    with page.expect_download() as download:
        here(page, button).click()
    return Path(download.value.path())


def native(image) -> torch.Tensor:
    return pictures.to_tensor(pictures.read(image), 32)


def test_the_first_click_makes_a_picture_and_stop_stops(page):
    run(page)
    assert min(picture(page).size) >= 128
    assert here(page, ":text('Save the PNG')").is_enabled()

    fill(page, "Steps", 1000)
    here(page, "button:text-is('Run')").click()
    here(page, ":text-matches('^step [1-9]')").wait_for()
    here(page, "button:text-is('Stop')").click()
    here(page, ":text('stopped at step')").wait_for()
    with LINE.place() as ahead:
        assert ahead(1) == 0


def test_a_drawn_mask_reaches_the_task(page, received):
    switch(page, "inpainting")
    stroke(page, "inpainting")
    run(page)
    ((name, _, given),) = received
    assert name == "inpainting" and torch.equal(native(given["picture"]), native(draw_picture()))
    mask = given["mask"]
    left, _, right, bottom = mask.getbbox()
    # The stroke crosses the middle; on a busy machine the browser may lead into it from the canvas's corner.
    middle = mask.width // 2
    assert mask.getpixel((middle, mask.height // 2)) and left < middle - 30 and middle + 30 < right < mask.width - 60
    assert abs(bottom - mask.height / 2) < mask.height / 8
    assert sum(mask.histogram()[1:]) < mask.width * mask.height / 4
    result, changed = np.asarray(picture(page, ".result img:visible >> nth=-1")), pictures.to_mask(mask, 32)[0, 0] > 0
    assert ((result[4::8, 4::8] != np.asarray(draw_picture())).any(2) <= changed.numpy()).all()
    here(page, ":text('PSNR')").wait_for()


def test_a_sketch_is_drawn_and_synthesised_over_a_slow_connection(page, received):
    switch(page, "sketch")
    stroke(page, "sketch")
    page.wait_for_timeout(1000)
    slow = {"offline": False, "latency": 500, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    stroke(page, "sketch", 80)
    run(page)
    ((name, _, given),) = received
    drawn = np.asarray(given["picture"].convert("RGB"))[:, given["picture"].width // 2] == 0x15
    assert name == "sketch" and np.diff(drawn.all(1)).sum() == 4  # two strokes


def test_two_features_are_painted_one_after_the_other_and_undone(page, received):
    switch(page, "painting")
    stroke(page, "painting")
    here(page, ".features button.thumbnail-item >> nth=3").click()
    page.wait_for_timeout(500)
    run(page)
    first = picture(page, ".result img:visible >> nth=-1")
    here(page, ":text-is('Keep the result and go on')").click()
    here(page, ":text('kept 1')").wait_for()
    here(page, ".features input, .features textarea").fill("5")
    here(page, ".features button.thumbnail-item").click()
    page.wait_for_timeout(1500)
    run(page)
    units = [given["unit"] for _, _, given in received]
    assert len(set(units)) == 2 and units[1] == 5
    assert torch.equal(native(received[1][2]["picture"]), native(first))
    here(page, ":text-is('Undo')").click()
    here(page, ":text('back to the first picture')").wait_for()
    page.wait_for_timeout(1000)
    run(page)
    assert torch.equal(native(received[2][2]["picture"]), native(draw_picture()))


def test_features_are_decoded_in_five_tabs(page, received):
    for task, words in {
        "reconstruction": "row by row: decoded, optimised",
        "interpolation": "done: step 1 of 1",
        "denoising": "done: step 1 of 1",
        "style_transfer": "done: step 3 of 3",
        "anomaly_detection": "of normal pictures that it never saw",
    }.items():
        switch(page, task)
        if task == "style_transfer":
            here(page, ".shelf >> nth=1 >> button.thumbnail-item >> nth=2").click()
            page.wait_for_timeout(500)
        if task == "anomaly_detection":
            choose(page, "Normal", "squares")
        run(page)
        here(page, f":text('{words}')").wait_for()
        if task in ("reconstruction", "denoising"):
            here(page, ":text('PSNR')").wait_for()
    given = {name: settings for name, _, settings in received}
    mosaic = editable(list(styles().values())[2])
    assert torch.equal(native(given["style_transfer"]["style"]), native(mosaic))
    assert torch.equal(native(given["interpolation"]["picture"]), native(draw_picture()))
    assert given["anomaly_detection"]["normal"] == "squares" and given["reconstruction"]["beside"] == ""


def test_a_run_is_scrubbed_and_exported(page, tmp_path):
    run(page)
    final = picture(page)
    here(page, "input[aria-label*='Scrub'][type=number]").fill("0")
    here(page, "input[aria-label*='Scrub'][type=number]").press("Enter")
    here(page, ":text('step 0 of the run')").wait_for()
    page.wait_for_timeout(500)
    task, model = TASKS["generation"], load("tiny")
    frame = next(iter(task.frames(model)))
    assert picture(page).tobytes() == pictures.sheet(frame.pictures, zoom=4).tobytes() != final.tobytes()
    here(page, "button:has-text('Look closer')").click()
    here(page, ":text('How probable')").wait_for()

    here(page, "button:has-text('GIF')").click()
    here(page, ".made a").wait_for()
    gif = Image.open(saved(page, ".made a"))
    assert gif.n_frames > 20 and gif.size == final.size
    here(page, "button:has-text('ZIP')").click()
    here(page, ".made a[download$=zip]").wait_for()
    with zipfile.ZipFile(saved(page, ".made a[download$=zip]")) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 8 + 1


def test_a_saved_picture_brings_its_settings_back(page, received, tmp_path):
    switch(page, "inpainting")
    choose(page, "Class", "stripe")
    fill(page, "Steps", 7)
    run(page)
    made = saved(page, ":text('Save the PNG')")
    shutil.copy(made, tmp_path / "made.png")
    page.reload()
    page.locator("button:has-text('Repeat a picture')").click()
    page.set_input_files(".repeat input[type=file]", tmp_path / "made.png")
    here(page, "#editor-inpainting").wait_for()
    page.wait_for_timeout(1500)
    run(page)
    first, second = (given for _, _, given in received)
    assert second["steps"] == 7 and second["class_name"] == "stripe" and second["seed"] == first["seed"]
    assert saved(page, ":text('Save the PNG')").read_bytes() == made.read_bytes()


def test_a_link_reopens_a_tab_with_its_settings(page, received):
    switch(page, "translation")
    choose(page, "Class", "dot")
    fill(page, "Steps", 6)
    run(page)
    page.wait_for_function("location.search.includes('steps=6')")
    page.goto(page.url)
    here(page, "input[aria-label*='Scrub'], input[aria-label*='Steps']").wait_for()
    page.wait_for_timeout(1500)
    run(page)
    assert [(name, given["class_name"], given["steps"]) for name, _, given in received] == [
        ("translation", "dot", 6)
    ] * 2


def test_a_result_is_used_in_another_tab(page, received):
    run(page)
    box = here(page, ".result img:visible").bounding_box()
    here(page, ".result img:visible").click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.9})
    here(page, ":text('picture 7 is chosen')").wait_for()
    sheet = picture(page)
    choose(page, "Use the result in", TASKS["maximisation"].title)
    page.locator(f"button[role=tab][aria-selected=true]:has-text('{TASKS['maximisation'].title}')").wait_for()
    page.wait_for_timeout(1500)
    run(page)
    chosen = sheet.crop((260, 130, 388, 258)).resize((32, 32), Image.Resampling.NEAREST)
    assert torch.equal(native(received[1][2]["picture"]), native(chosen))


def test_variations_take_the_next_seeds(page, received):
    fill(page, "Count", 1)
    here(page, "button:has-text('Variations and link')").click()
    here(page, "button:has-text('4 variations')").click()
    here(page, ":text('seed 4: done')").wait_for()
    here(page, "button.thumbnail-item >> nth=2").click()
    here(page, ":text('seed 3 is set')").wait_for()
    run(page)
    assert [given["seed"] for _, _, given in received] == [1, 2, 3, 4, 3]


def test_the_twin_does_the_same_beside(page, received):
    choose(page, "Compare with", "plain", anywhere=True)
    switch(page, "super_resolution")
    here(page, "button:text-is('Run')").click()
    here(page, ":text('plain: done: step')").wait_for()
    (_, one, mine), (_, two, theirs) = received
    assert (one, two) == ("tiny", "plain")
    assert mine == theirs
    expected = TASKS["super_resolution"](load("plain"), **theirs)
    page.wait_for_timeout(500)
    assert torch.equal(native(picture(page, ".result img:visible >> nth=2")), native(expected.images[0]))
    here(page, "td:text-is('plain')").wait_for()


def test_a_bad_upload_is_told_and_nothing_is_lost(page, tmp_path, received):
    (tmp_path / "notes.png").write_text("not a picture")
    page.locator("button:has-text('Repeat a picture')").click()
    page.set_input_files(".repeat input[type=file]", tmp_path / "notes.png")
    page.locator(":text(\"expected a readable picture file, got 'notes.png'\")").first.wait_for()
    switch(page, "maximisation")
    Image.new("RGB", (5000, 8)).save(tmp_path / "long.png")
    here(page, "button[aria-label='Clear']").evaluate("button => button.click()")
    page.set_input_files("div[role=tabpanel]:visible input[type=file]", tmp_path / "long.png")
    page.locator(":text('picture: expected 4 to 4096 pixels a side, got 5000x8')").first.wait_for()
    here(page, ".shelf button.thumbnail-item").click()
    page.wait_for_timeout(1500)
    run(page)
    assert torch.equal(native(received[0][2]["picture"]), native(draw_picture()))


def test_a_picture_of_the_data_set(page, received):
    switch(page, "translation")
    here(page, ":text('A picture from the data set')").click()
    page.wait_for_timeout(1500)
    run(page)
    assert torch.equal(native(received[0][2]["picture"]), native(draw_picture()))


def test_examples_follow_the_checkpoint_and_own_pictures_stay(page, received, tmp_path):
    switch(page, "maximisation")
    choose(page, "Checkpoint", "plain", anywhere=True)
    here(page, ".shelf :text-is('dot')").wait_for()
    run(page)
    assert torch.equal(native(received[0][2]["picture"]), native(draw_picture().rotate(180)))
    here(page, "button[aria-label='Remove Image']").evaluate("button => button.click()")
    draw_picture().rotate(90).save(tmp_path / "own.png")
    page.set_input_files("div[role=tabpanel]:visible input[type=file]", tmp_path / "own.png")
    page.wait_for_timeout(1500)
    choose(page, "Checkpoint", "tiny", anywhere=True)
    here(page, ".shelf :text-is('square')").wait_for()
    run(page)
    assert received[1][1] == "tiny"
    assert torch.equal(native(received[1][2]["picture"]), native(draw_picture().rotate(90)))


def test_the_page_fits_a_phone(page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.reload()
    for task in TASKS.values():
        page.locator(f"button[role=tab]:has-text('{task.title}')").click()
        here(page, f":text('{type(task).__doc__[:20]}')").wait_for()
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, task.name
        assert here(page, "button:text-is('Run')").bounding_box()["y"] < 800, task.name
