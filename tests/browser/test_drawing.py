"""Masks and sketches that are drawn in the browser."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from synth import TASKS, pictures
from synth.randomness import Generators
from tests.browser.actions import (
    draw_stroke,
    expect,
    in_tab,
    open_tab,
    result,
    run,
    see,
    show_pixels,
    take_mask_off,
    to_tensor,
    wait_for_another_picture,
)
from tests.conftest import draw_picture


def test_a_drawn_mask_reaches_the_task(page, calls):
    open_tab(page, "inpainting")
    take_mask_off(page, "inpainting")
    draw_stroke(page, "inpainting")
    show_pixels(page)
    run(page)
    (call,) = calls
    assert call.task == "inpainting" and torch.equal(to_tensor(call.settings["picture"]), to_tensor(draw_picture()))
    mask = call.settings["mask"]
    left, _, right, bottom = mask.getbbox()
    # The stroke crosses the middle; on a busy machine the browser may lead into it from the canvas's corner.
    middle = mask.width // 2
    assert mask.getpixel((middle, mask.height // 2)) and left < middle - 30 and middle + 30 < right < mask.width - 60
    assert abs(bottom - mask.height / 2) < mask.height / 8
    assert sum(mask.histogram()[1:]) < mask.width * mask.height / 4
    pixels = np.asarray(result(page))[7::14, 7::14]
    may_change = (pictures.to_mask(mask, 32)[0, 0] > 0).numpy()
    assert ((pixels != np.asarray(draw_picture())).any(2) <= may_change).all()
    in_tab(page, ":text('PSNR')").wait_for()


@pytest.mark.parametrize("task", ["inpainting", "painting"])
def test_a_tab_begins_with_a_mask(page, calls, task):
    open_tab(page, task)
    run(page)
    (call,) = calls
    mask = pictures.to_mask(call.settings["mask"], 32)
    assert torch.equal(mask, TASKS[task].default_mask(pictures.to_tensor(draw_picture(), 32), Generators(0)))


def test_a_sketch_is_drawn_and_synthesised_over_a_slow_connection(page, calls):
    open_tab(page, "sketch")
    draw_stroke(page, "sketch")
    slow = {"offline": False, "latency": 500, "downloadThroughput": -1, "uploadThroughput": -1}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    draw_stroke(page, "sketch", 80)
    run(page)
    (call,) = calls
    drawing = call.settings["picture"].convert("RGB")
    painted = (np.asarray(drawing)[:, drawing.width // 2] == 0x15).all(1)
    assert call.task == "sketch" and np.diff(painted).sum() == 4  # two strokes


def test_two_features_are_painted_one_after_the_other_and_undone(page, calls):
    open_tab(page, "painting")
    show_pixels(page)
    feature = in_tab(page, "input[aria-label*='Feature'][type=number]")
    in_tab(page, ".features button.thumbnail-item >> nth=3").click()
    expect(feature).to_have_value("3")
    expect(in_tab(page, ".chosen img")).to_have_attribute("alt", "Feature 3")
    run(page)
    first = result(page)
    before = see(page, "painting")
    in_tab(page, ":text-is('Keep the result and go on')").click()
    in_tab(page, ":text('Result 1 is kept')").wait_for()
    wait_for_another_picture(page, "painting", before)
    in_tab(page, ".features input, .features textarea").fill("5")
    expect(page.locator(".features button.thumbnail-item:visible")).to_have_count(1)
    in_tab(page, ".features button.thumbnail-item").click()
    expect(feature).to_have_value("5")
    run(page)
    assert [call.settings["feature"] for call in calls] == [3, 5]
    assert torch.equal(to_tensor(calls[1].settings["picture"]), to_tensor(first))
    before = see(page, "painting")
    in_tab(page, ":text-is('Undo')").click()
    in_tab(page, ":text('Back to the first picture')").wait_for()
    wait_for_another_picture(page, "painting", before)
    run(page)
    assert torch.equal(to_tensor(calls[2].settings["picture"]), to_tensor(draw_picture()))
