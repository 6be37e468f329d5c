"""The page says and keeps what is: of damaged uploads, stopped runs, other settings, other checkpoints, links."""

from __future__ import annotations

import io
import threading

import numpy as np
import torch
from PIL import Image

from synth import TASKS
from synth.record import Record
from synth.web import navigation
from tests.browser.actions import (
    choose,
    download,
    expect,
    in_tab,
    open_fold,
    open_tab,
    result,
    run,
    set_number,
    show_pixels,
    to_tensor,
    wait_for_input,
)
from tests.conftest import draw_picture


def test_a_damaged_upload_is_refused_and_nothing_hangs(page, tmp_path, calls):
    buffer = io.BytesIO()
    draw_picture(256, 256).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:400])
    (tmp_path / "notes.png").write_text("not a picture")
    cut = "expected a whole picture file, got a damaged or truncated one"
    no_picture = "expected a readable picture file, got 'notes.png'"
    for task, name, sentence in (("super_resolution", "cut.png", cut), ("maximisation", "notes.png", no_picture)):
        open_tab(page, task)
        in_tab(page, "button[aria-label='Remove Image']").evaluate("button => button.click()")
        page.set_input_files("div[role=tabpanel]:visible input[type=file]", tmp_path / name)
        page.locator(f':text("{sentence}")').first.wait_for()
        expect(in_tab(page, ".input .image-frame")).to_have_count(0)
        assert page.locator(f'.toast-body:has-text("{sentence}")').count() == 1
        in_tab(page, "button:text-is('Run')").click()
        in_tab(page, ".status :text('picture: expected a still picture')").wait_for()
    choose(page, "Model", "plain")
    wait_for_input(page)
    run(page)
    assert calls[-1].checkpoint == "plain" and calls[-1].task == "maximisation"


def test_a_damaged_upload_to_an_editor_is_refused(page, tmp_path, calls):
    (tmp_path / "notes.png").write_text("not a picture")
    open_tab(page, "painting")
    page.set_input_files("#editor-painting input[type=file]", tmp_path / "notes.png")
    in_tab(page, ".status :text(\"expected a readable picture file, got 'notes.png'\")").wait_for()
    run(page)
    assert torch.equal(to_tensor(calls[0].settings["picture"]), to_tensor(draw_picture()))


def test_upload_and_paste_are_within_reach(page):
    open_tab(page, "translation")
    wait_for_input(page)
    box = in_tab(page, ".input").bounding_box()
    for name in ("Upload file", "Paste from clipboard"):
        button = in_tab(page, f".input button[aria-label='{name}']")
        button.scroll_into_view_if_needed()
        part, box = button.bounding_box(), in_tab(page, ".input").bounding_box()
        assert part["height"] > 10 and box["y"] < part["y"] and part["y"] + part["height"] <= box["y"] + box["height"]
        hit = "button => { const r = button.getBoundingClientRect(); return button.contains("
        hit += "document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2)) }"
        assert button.evaluate(hit)


def test_a_stopped_run_is_what_is_saved_and_used(page, calls):
    show_pixels(page)
    run(page)
    set_number(page, "Steps", 1000)
    set_number(page, "Seed", 5)
    save = in_tab(page, "button:text-is('Save PNG')")
    in_tab(page, "button:text-is('Run')").click()
    in_tab(page, ":text-matches('^Step [1-9]')").wait_for()
    expect(save).to_be_disabled()
    in_tab(page, "button:text-is('Stop')").click()
    in_tab(page, ":text-matches('^Stopped. Step')").wait_for()
    expect(save).to_be_enabled()
    assert [call.settings["seed"] for call in calls] == [0, 5]
    saved = download(page, "button:text-is('Save PNG')")
    assert Record.read(saved).settings["seed"] == 5
    shown, kept = (np.asarray(image) for image in (result(page), Image.open(saved).convert("RGB")))
    assert (shown[2:160:5, 2:160:5] == kept[2:128:4, 2:128:4]).all()  # the first picture of both sheets
    source = in_tab(page, ".result img:visible").get_attribute("src")
    choose(page, "Use the result in", TASKS["translation"].title)
    page.locator("button[role=tab][aria-selected=true]:has-text('Translate')").wait_for()
    expect(in_tab(page, ".input img")).not_to_have_attribute("src", source)
    wait_for_input(page)
    run(page)
    assert torch.equal(to_tensor(calls[-1].settings["picture"]), to_tensor(Image.fromarray(kept[:128, :128])))


def test_another_setting_or_example_fades_the_result(page):
    def opacity() -> str:
        return in_tab(page, ".result").evaluate("part => getComputedStyle(part).opacity")

    run(page)
    assert opacity() == "1"
    set_number(page, "Steps", 3)
    assert opacity() == "0.35"
    run(page)
    assert opacity() == "1"
    open_tab(page, "maximisation")
    run(page)
    assert opacity() == "1"
    in_tab(page, ".shelf button.thumbnail-item").click()
    assert opacity() == "0.35"


def test_nothing_runs_while_a_checkpoint_is_loaded_and_a_failure_brings_the_old_one_back(page, calls, monkeypatch):
    started, go_on = threading.Event(), threading.Event()

    def slow(name):
        started.set()
        go_on.wait(20)
        return iter(())

    button = in_tab(page, "button:text-is('Run')")
    with monkeypatch.context() as patch:
        patch.setattr(navigation, "download", slow)
        choose(page, "Model", "plain")
        page.locator(".note :text('Loading')").wait_for()
        assert started.wait(20)
        expect(button).to_be_disabled()
        go_on.set()
        expect(button).to_be_enabled()
    expect(page.locator(".note :text('Loading')")).to_have_count(0)
    menu = page.locator("input[aria-label^='Model']")
    menu.fill("nowhere")
    menu.press("Enter")
    sentence = ":text(\"expected one of plain, tiny, a folder or owner/name on the Hub, got 'nowhere'\")"
    page.locator(sentence).first.wait_for()
    expect(menu).to_have_value("4 classes, 32 pixels: plain")
    assert page.locator(f".toast-body:has({sentence})").count() == 1
    run(page)
    assert calls[-1].checkpoint == "plain"


def test_the_comparison_is_in_the_link_and_in_the_file(page, calls):
    open_fold(page, "Compare two checkpoints")
    choose(page, "Compare with", "plain")
    open_tab(page, "maximisation")
    set_number(page, "Steps", 2)
    run(page)
    assert "compare=plain" in page.url
    assert Record.read(download(page, "button:text-is('Save PNG')")).compare == "plain"
    page.goto(page.url)
    page.locator("button[role=tab][aria-selected=true]:has-text('Maximise')").wait_for()
    run(page)
    assert [call.checkpoint for call in calls] == ["tiny", "plain"] * 2
    in_tab(page, ":text('The PNG opens here again')").wait_for()


def test_the_feature_gallery_is_read_only_and_says_when_nothing_fits(page):
    open_tab(page, "painting")
    gallery, search = in_tab(page, ".features .grid-container"), in_tab(page, ".features textarea")
    gallery.wait_for()
    assert page.locator(".features button[aria-label*='elete']").count() == 0
    assert page.locator(".features input[type=file]").count() == 0
    items = page.locator(".features button.thumbnail-item:visible")
    search.fill("quar")  # within "square"
    expect(items).to_have_count(16)
    search.fill("unicorn")
    in_tab(page, ":text(\"No feature serves anything called 'unicorn'.\")").wait_for()
    expect(items).to_have_count(0)
    search.fill("")
    expect(items).to_have_count(64)


def test_what_one_step_cannot_show_is_not_there(page):
    open_tab(page, "denoising")
    run(page)
    for text in ("Scrub through the run", "Look closer", "Save GIF"):
        expect(in_tab(page, f":text('{text}')")).to_be_hidden()
    open_tab(page, "translation")
    run(page)
    for text in ("Scrub through the run", "Look closer", "Save GIF"):
        expect(in_tab(page, f":text('{text}')")).to_be_visible()


def test_files_say_what_they_are(page):
    choose(page, "Class", "stripe")
    run(page)
    for button, ending in (("Save PNG", "png"), ("Save GIF", "gif"), ("Save ZIP", "zip")):
        with page.expect_download() as download:
            in_tab(page, f"button:text-is('{button}')").click()
        assert download.value.suggested_filename == f"synth-generation-stripe-seed0.{ending}"
