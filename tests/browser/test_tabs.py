"""Tabs as they are when they are opened."""

from __future__ import annotations

import torch

from synth import TASKS
from synth.examples import styles
from synth.web.editor import enlarge
from tests.browser.actions import TWO_FRAMES, choose, expect, in_tab, open_tab, run, to_tensor
from tests.conftest import draw_picture


def test_features_are_decoded_in_five_tabs(page, calls):
    for task, status in {
        "reconstruction": "steps.",
        "interpolation": "1 step.",
        "denoising": "1 step.",
        "style_transfer": "3 steps.",
        "anomaly_detection": "of normal pictures that it never saw",
    }.items():
        open_tab(page, task)
        if task == "style_transfer":
            style = in_tab(page, ".image-frame img >> nth=1")
            source = style.get_attribute("src")
            in_tab(page, ".shelf >> nth=1 >> button.thumbnail-item >> nth=2").click()
            expect(style).not_to_have_attribute("src", source)
        if task == "anomaly_detection":
            choose(page, "Normal", "squares")
        if task == "denoising":
            in_tab(page, "input[aria-label*='Noise to add'][type=number]").fill("25")
            in_tab(page, "input[aria-label*='Noise to add'][type=number]").press("Tab")
        run(page, status)
        if task in ("reconstruction", "denoising"):
            in_tab(page, ":text('PSNR')").wait_for()
    settings = {call.task: call.settings for call in calls}
    mosaic = enlarge(list(styles().values())[2])
    assert torch.equal(to_tensor(settings["style_transfer"]["style"]), to_tensor(mosaic))
    assert torch.equal(to_tensor(settings["interpolation"]["picture"]), to_tensor(draw_picture()))
    assert settings["anomaly_detection"]["normal"] == "squares" and settings["reconstruction"]["beside"] == ""


def test_the_page_fits_a_phone(page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.reload()
    for task in TASKS.values():
        page.locator(f"button[role=tab]:has-text('{task.title}')").click()
        in_tab(page, f":text('{type(task).__doc__[:20]}')").wait_for()
        page.evaluate(TWO_FRAMES)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400, task.name
        assert in_tab(page, "button:text-is('Run')").bounding_box()["y"] < 800, task.name
