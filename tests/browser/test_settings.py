"""Settings and pictures that come from elsewhere: saved PNGs, links, uploads, data sets, other checkpoints."""

from __future__ import annotations

import shutil

import torch
from PIL import Image

from synth.web.navigation import Navigation
from tests.browser.actions import (
    choose,
    download,
    expect,
    in_tab,
    open_fold,
    open_tab,
    run,
    set_number,
    to_tensor,
    upload,
    wait_for_editor,
    wait_for_input,
)
from tests.conftest import draw_picture


def test_a_saved_picture_brings_its_settings_back(page, calls, tmp_path):
    open_tab(page, "inpainting")
    choose(page, "Class", "stripe")
    set_number(page, "Steps", 7)
    run(page)
    saved = download(page, "button:text-is('Save PNG')")
    shutil.copy(saved, tmp_path / "saved.png")
    page.reload()
    open_fold(page, "repeat a picture")
    page.set_input_files(".repeat input[type=file]", tmp_path / "saved.png")
    in_tab(page, "#editor-inpainting").wait_for()
    open_fold(page, "Settings")
    expect(page.locator("input[aria-label*='Steps'][type=number]:visible")).to_have_value("7")
    wait_for_editor(page, "inpainting")
    run(page)
    first, second = (call.settings for call in calls)
    assert second["steps"] == 7 and second["class_name"] == "stripe" and second["seed"] == first["seed"]
    assert download(page, "button:text-is('Save PNG')").read_bytes() == saved.read_bytes()


def test_a_link_reopens_a_tab_with_its_settings(page, calls):
    open_tab(page, "translation")
    choose(page, "Class", "dot")
    set_number(page, "Steps", 6)
    run(page)
    assert "steps=6" in page.url
    page.goto(page.url)
    page.locator("button[role=tab][aria-selected=true]:has-text('Translate')").wait_for()
    open_fold(page, "Settings")
    expect(page.locator("input[aria-label*='Steps'][type=number]:visible")).to_have_value("6")
    run(page)
    assert [(call.task, call.settings["class_name"], call.settings["steps"]) for call in calls] == [
        ("translation", "dot", 6)
    ] * 2


def test_a_bad_upload_is_reported_and_nothing_is_lost(page, tmp_path, calls):
    (tmp_path / "notes.png").write_text("not a picture")
    open_fold(page, "repeat a picture")
    page.set_input_files(".repeat input[type=file]", tmp_path / "notes.png")
    page.locator(":text(\"expected a readable picture file, got 'notes.png'\")").first.wait_for()
    open_tab(page, "maximisation")
    Image.new("RGB", (5000, 8)).save(tmp_path / "long.png")
    in_tab(page, "button[aria-label='Remove Image']").click()
    page.set_input_files("div[role=tabpanel]:visible input[type=file]", tmp_path / "long.png")
    page.locator(":text('picture: expected 4 to 4096 pixels a side, got 5000x8')").first.wait_for()
    in_tab(page, ".shelf button.thumbnail-item").click()
    wait_for_input(page)
    run(page)
    assert torch.equal(to_tensor(calls[0].settings["picture"]), to_tensor(draw_picture()))


def test_a_picture_of_the_data_set(page, calls, tmp_path):
    open_tab(page, "translation")
    draw_picture().rotate(90).save(tmp_path / "own.png")
    upload(page, tmp_path / "own.png")
    source = in_tab(page, ".image-frame img").get_attribute("src")
    in_tab(page, ":text('A picture from the data set')").click()
    expect(in_tab(page, ".image-frame img")).not_to_have_attribute("src", source)
    run(page)
    assert torch.equal(to_tensor(calls[0].settings["picture"]), to_tensor(draw_picture()))


def test_examples_follow_the_checkpoint_and_own_pictures_stay(page, calls, tmp_path, monkeypatch):
    renewed, renew = [], Navigation._renew

    def noted(self, name, values, compare):
        renewed.extend([name] if name != values[self.loaded] else [])
        return renew(self, name, values, compare)

    monkeypatch.setattr(Navigation, "_renew", noted)
    open_tab(page, "maximisation")
    choose(page, "Model", "plain")
    in_tab(page, ".shelf :text-is('dot (made)')").wait_for()
    run(page)
    assert torch.equal(to_tensor(calls[0].settings["picture"]), to_tensor(draw_picture().rotate(180)))
    draw_picture().rotate(90).save(tmp_path / "own.png")
    upload(page, tmp_path / "own.png")
    choose(page, "Model", "tiny")
    in_tab(page, ".shelf :text-is('square (made)')").wait_for()
    run(page)
    assert calls[1].checkpoint == "tiny"
    assert torch.equal(to_tensor(calls[1].settings["picture"]), to_tensor(draw_picture().rotate(90)))
    assert renewed == ["plain", "tiny"]  # once each, though the menu tells a choice twice
