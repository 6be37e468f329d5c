"""What can be done with a result."""

from __future__ import annotations

import zipfile

import torch
from PIL import Image, ImageColor

from synth import TASKS
from synth.web import views
from synth.web.checkpoints import load
from synth.web.line import LINE
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
from tests.conftest import CLASSES


def test_the_first_click_makes_a_picture_and_stop_stops(page):
    run(page)
    assert min(result(page).size) >= 128
    assert in_tab(page, "button:text-is('Save PNG')").is_enabled()
    done = in_tab(page, ".status").inner_text()
    in_tab(page, "button:text-is('Stop')").click()  # too late, so that it changes nothing

    set_number(page, "Steps", 1000)
    expect(in_tab(page, ".status")).to_have_text(done)
    in_tab(page, "button:text-is('Run')").click()
    in_tab(page, ":text-matches('^Step [1-9]')").wait_for()
    in_tab(page, "button:text-is('Stop')").click()
    in_tab(page, ":text-matches('^Stopped. Step')").wait_for()
    with LINE.place() as place:
        assert place.ahead(1) == 0


def test_a_run_is_scrubbed_and_exported(page):
    show_pixels(page)
    run(page)
    last = result(page)
    source = in_tab(page, ".result img:visible").get_attribute("src")
    in_tab(page, "input[aria-label*='Scrub'][type=number]").fill("0")
    in_tab(page, "input[aria-label*='Scrub'][type=number]").press("Enter")
    in_tab(page, ":text('Step 0 of the run')").wait_for()
    expect(in_tab(page, ".result img:visible")).not_to_have_attribute("src", source)
    start = next(iter(TASKS["generation"].frames(load("tiny"))))
    assert result(page).tobytes() == views.sheet(start.pictures, CLASSES * 2, pixels=True).tobytes() != last.tobytes()
    in_tab(page, "button:has-text('Look closer')").click()
    in_tab(page, ":text('Probability of each class')").wait_for()

    gif = Image.open(download(page, "button:text-is('Save GIF')"))
    assert gif.n_frames > 20 and gif.width >= 4 * 128
    with zipfile.ZipFile(download(page, "button:text-is('Save ZIP')")) as archive:
        assert len([name for name in archive.namelist() if name.endswith(".png")]) == 8 + 1


def test_a_walk_is_scrubbed_picture_by_picture(page):
    open_tab(page, "interpolation")
    run(page)
    middle = result(page)
    number = in_tab(page, "input[aria-label*='Walk from'][type=number]")
    number.fill("3")
    number.press("Enter")
    in_tab(page, ":text('Picture 3 of 8.')").wait_for()
    assert result(page).size == middle.size == (448, 504) and result(page).tobytes() != middle.tobytes()


def test_a_result_is_used_in_another_tab(page, calls):
    show_pixels(page)
    run(page)
    box = in_tab(page, ".result img:visible").bounding_box()
    in_tab(page, ".result img:visible").click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.9})
    in_tab(page, ":text('Picture 7 is chosen')").wait_for()
    sheet = result(page)
    title = TASKS["maximisation"].title
    choose(page, "Use the result in", title)
    page.locator(f"button[role=tab][aria-selected=true]:has-text('{title}')").wait_for()
    wait_for_input(page)
    run(page)
    left, top = views.Layout.of(8, 32, CLASSES).corner(6)
    expected = TASKS["generation"](load("tiny"), **calls[0].settings).images[6]
    assert torch.equal(to_tensor(calls[1].settings["picture"]), to_tensor(expected))
    outlined = sheet.getpixel((left, top)), sheet.getpixel((left + 159, top + 159))
    assert outlined == (ImageColor.getrgb(views.OUTLINE),) * 2


def test_variations_take_the_next_seeds(page, calls):
    set_number(page, "How many pictures", 2)
    open_fold(page, "Variations")
    in_tab(page, "button:has-text('4 variations')").click()
    expect(page.locator("button.thumbnail-item:visible:has-text('seed')")).to_have_count(4)
    in_tab(page, "button.thumbnail-item >> nth=2").click()
    in_tab(page, ":text('Seed 6 is set')").wait_for()
    run(page)
    assert [call.settings["seed"] for call in calls] == [2, 4, 6, 8, 6]


def test_a_second_checkpoint_does_the_same_beside(page, calls):
    open_fold(page, "Compare two checkpoints")
    choose(page, "Compare with", "plain")
    open_tab(page, "super_resolution")
    show_pixels(page)
    run(page)
    first, second = calls
    assert (first.checkpoint, second.checkpoint) == ("tiny", "plain")
    assert first.settings == second.settings
    expected = TASKS["super_resolution"](load("plain"), **second.settings)
    assert torch.equal(to_tensor(result(page)), to_tensor(expected.images[0]))
    in_tab(page, "td:text-is('plain')").wait_for()
