"""What a visitor sees first: cards, a tour, stored results, one comparison; by mouse, by keyboard and on a phone."""

from __future__ import annotations

import io
import re

import numpy as np
import torch
from PIL import Image

from synth.record import Record
from synth.web.stored import index
from synth.web.words import TITLE
from tests.browser.actions import download, expect, in_tab, open_fold, open_tab, result, run, show_pixels, to_tensor
from tests.conftest import draw_picture


def test_a_card_opens_its_tab_with_settings_and_stored_result(page, calls):
    page.locator(".cards button.thumbnail-item:has-text('Turn a square into a dot')").click()
    page.locator("button[role=tab][aria-selected=true]:has-text('Translate')").wait_for()
    in_tab(page, ".status :text('Made earlier. The model now sees:')").wait_for()
    kept = Record.read(download(page, "button:text-is('Save PNG')"))
    assert kept.task == "translation" and kept.settings["class_name"] == "dot" and kept.settings["picture"] is not None
    expect(in_tab(page, "button:text-is('Save GIF')")).to_have_count(0)  # the steps were not kept
    expect(in_tab(page, "button:text-is('Run')")).to_be_enabled()
    show_pixels(page)
    stored, kept = result(page), index()["tiny-translation"].run()
    run(page)
    (call,) = calls
    assert {name: call.settings[name] for name in ("class_name", "steps", "seed")} == {
        "class_name": "dot",
        "steps": 5,
        "seed": 0,
    }
    assert torch.equal(to_tensor(call.settings["picture"]), to_tensor(draw_picture()))
    apart = np.abs(np.asarray(stored).astype(int) - np.asarray(result(page)))
    assert apart.mean() < 8  # the stored file lost a little
    assert torch.equal(kept.frame.pictures, index()["tiny-translation"].run().frame.pictures)


def test_a_card_brings_its_checkpoint_and_its_comparison(page, calls):
    page.locator(".cards button.thumbnail-item:has-text('Two beside each other')").click()
    expect(page.locator("input[aria-label^='Model']")).to_have_value("4 classes, 32 pixels: plain")
    expect(page.locator(".result img:visible")).to_have_count(2)
    open_fold(page, "Compare two checkpoints")
    expect(page.locator("input[aria-label='Compare with']")).to_have_value("4 classes, 32 pixels: tiny")
    expect(in_tab(page, "button:text-is('Run')")).to_be_enabled()
    run(page)
    assert [(call.checkpoint, call.settings["class_name"]) for call in calls] == [("plain", "dot"), ("tiny", "dot")]
    widths = page.locator(".result img:visible").evaluate_all("images => images.map(image => image.clientWidth)")
    assert len(widths) == 2 and abs(widths[0] - widths[1]) <= 1


def test_a_first_click_says_what_the_model_sees(page):
    open_tab(page, "translation")
    run(page)
    words = in_tab(page, ".status p").inner_text()
    before = r"\(before: (no clear answer, best guess )?\w+ \d+%\)"
    assert re.fullmatch(rf"Done in \d+\.\d s, \d+ steps\. The model now sees: \w+ \d+% {before}\.", words)
    open_tab(page, "super_resolution")
    run(page)
    words = in_tab(page, ".status p").inner_text()
    sure = r"(?:before: |still sees: )(\w+) (\d+)%\)?\. No class was chosen, so it took (\w+)\."
    unsure = r"No class was chosen, so it took the nearest, \w+ \(\d+%\)\."
    if seen := re.search(sure, words):
        name, value, taken = seen.groups()
        assert name == taken and int(value) >= 60
    assert seen or re.search(unsure, words)
    assert page.title() == TITLE == page.locator("h1").inner_text()


def test_a_surprise_chooses_and_runs(page, calls):
    open_tab(page, "painting")
    page.evaluate("history.replaceState(null, '', '/')")
    in_tab(page, "button:text-is('Surprise me')").click()
    page.wait_for_function("location.search")
    (call,) = calls
    assert call.task == "painting" and call.settings["seed"] > 0
    page.evaluate("history.replaceState(null, '', '/')")
    in_tab(page, "button:text-is('Another seed')").click()
    page.wait_for_function("location.search")
    assert calls[1].settings["seed"] not in (0, call.settings["seed"])
    assert calls[1].settings["feature"] == call.settings["feature"]


def test_a_mask_is_made_without_a_mouse(page, calls):
    open_tab(page, "painting")
    button = in_tab(page, ".masks button:text-is('Left half')")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#editor-painting button[aria-label=Undo]")).to_be_visible()
    for _ in range(60):  # until the mask is seen
        page.wait_for_timeout(500)
        canvas = Image.open(io.BytesIO(page.locator("#editor-painting canvas").first.screenshot())).convert("RGB")
        if np.asarray(canvas)[canvas.height // 4, canvas.width // 4].min() > 200:
            break
    run(page)
    mask = np.asarray(calls[0].settings["mask"])
    side = mask.shape[1] // 2
    assert mask[:, : side - 2].all() and not mask[:, side + 2 :].any()


def test_run_is_few_tab_stops_away_and_statuses_are_announced(page):
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "skip":
            break
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.textContent").strip() == "Run"
    assert page.locator(".block.status:visible").first.get_attribute("role") == "status"
    assert page.locator(".picture img:visible:not([alt]), .picture img[alt='']:visible").count() == 0


def test_help_has_enough_contrast(page):
    contrast = """() => {
        const light = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((part) => part / 255)
            .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
            .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0)
        const behind = (part) => {
            const colour = getComputedStyle(part).backgroundColor
            return /, 0\\)|transparent/.test(colour) && part.parentElement ? behind(part.parentElement) : colour
        }
        const says = (part) => [...part.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
        return [...document.querySelectorAll('label, span, p, button, .caption-label')].filter((part) =>
            part.offsetParent && !part.disabled && says(part)
        ).map((part) => {
            const [one, other] = [getComputedStyle(part).color, behind(part)].map(light)
            return [(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), part.textContent.trim().slice(0, 40)]
        }).filter(([ratio]) => ratio < 4.5)
    }"""
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.reload()
        in_tab(page, "button:text-is('Run')").wait_for()
        assert page.evaluate(contrast) == [], scheme
