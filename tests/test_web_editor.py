"""What the picture editor sends, and what becomes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from synth import TASKS, pictures
from synth.randomness import Generators
from synth.web.editor import LONGEST, SIDE, default_paint, enlarge, mask_part, parse_editor, prepare, task_settings
from synth.web.examples import checksum, is_unchanged
from tests.conftest import draw_picture

PICTURE = draw_picture(48, 32)
CLEAR = Image.new("RGBA", (48, 32))


def painted(alpha: int, box=(4, 4, 12, 20), size=(48, 32), colour=(255, 0, 0)) -> Image.Image:
    layer = Image.new("RGBA", size)
    layer.paste((*colour, alpha), box)
    return layer


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"background": None, "layers": [], "composite": None},
        {"background": None, "layers": None, "composite": None},
        {"background": None, "layers": [None], "composite": None},
        {"background": None, "layers": [CLEAR], "composite": CLEAR},
    ],
    ids=["nothing", "bare", "empty", "no layers", "missing layer", "cleared"],
)
def test_an_empty_editor_holds_nothing(payload):
    for drawn in (False, True):
        assert parse_editor(payload, drawn=drawn) == (None, None)


@pytest.mark.parametrize("layers", [[], [None], [CLEAR], [CLEAR, CLEAR]], ids=len)
def test_without_paint_there_is_a_picture_and_no_mask(layers):
    payload = {"background": PICTURE, "layers": layers, "composite": None}
    for drawn in (False, True):
        assert parse_editor(payload, drawn=drawn) == (PICTURE, None)


@pytest.mark.parametrize("alpha", [1, 128, 255])
def test_the_mask_is_wherever_any_layer_has_paint_however_soft(alpha):
    layers = [painted(alpha), CLEAR, painted(255, (20, 0, 24, 8))]
    picture, mask = parse_editor({"background": PICTURE, "layers": layers, "composite": None})
    expected = np.zeros((32, 48), np.uint8)
    expected[4:20, 4:12] = expected[0:8, 20:24] = 255
    assert picture is PICTURE
    assert (np.asarray(mask) == expected).all()


def test_a_layer_of_another_size_is_fitted_to_the_picture():
    layer = painted(255, (8, 8, 24, 40), (96, 64))
    _, mask = parse_editor({"background": PICTURE, "layers": [layer], "composite": None})
    assert mask.size == PICTURE.size and mask.getbbox() == (4, 4, 12, 20)


@pytest.mark.parametrize("background", [None, PICTURE], ids=["white page", "picture"])
def test_a_drawing_holds_its_paint(background):
    payload = {"background": background, "layers": [painted(255)], "composite": None}
    picture = pictures.read(parse_editor(payload, drawn=True)[0])
    assert picture.getpixel((6, 6)) == (255, 0, 0)
    assert picture.getpixel((40, 30)) == (PICTURE.getpixel((40, 30)) if background else (255, 255, 255))


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (224, 224)])
def test_a_picture_comes_back_from_the_editor_as_it_went_in(size):
    image = draw_picture(*size)
    edited = enlarge(image)
    assert min(edited.size) >= SIDE
    assert torch.equal(pictures.to_tensor(edited, size[0]), pictures.to_tensor(image, size[0]))


def test_a_large_picture_is_cropped_and_shrunk_for_the_editor():
    assert enlarge(draw_picture(1200, 900)).size == (SIDE, SIDE)
    with pytest.raises(ValueError, match="picture: expected 4 to 4096 pixels"):
        enlarge(Image.new("RGB", (5000, 8)))


def editor_values(layers=(), uploaded=None, background=PICTURE) -> dict:
    return {"picture": {"background": background, "layers": list(layers), "composite": None}, "mask": uploaded}


def test_drawn_and_uploaded_masks_are_united():
    uploaded = Image.new("L", (24, 16))
    uploaded.paste(255, (20, 12, 24, 16))
    settings, note = task_settings(TASKS["inpainting"], editor_values([painted(255)], uploaded))
    assert settings["mask"].size == PICTURE.size and settings["mask"].getbbox() == (4, 4, 48, 32) and note == ""


def test_a_missing_mask_is_noted():
    settings, note = task_settings(TASKS["inpainting"], editor_values())
    assert settings["mask"] is None and "No mask was drawn, so a random square" in note
    settings, note = task_settings(TASKS["painting"], editor_values())
    assert settings["mask"] is None and "a disc low in the picture" in note
    settings, _ = task_settings(TASKS["painting"], editor_values(background=None))
    assert settings["picture"] is None and settings["mask"] is None


def test_an_example_is_unchanged_until_it_is_painted_on_or_replaced():
    example = enlarge(draw_picture())
    clear, paint = Image.new("RGBA", example.size), Image.new("RGBA", example.size, "white")
    example_checksum = checksum(example)
    for shown in (example, example.convert("RGBA"), {"background": example, "layers": [clear]}):
        assert is_unchanged(shown, example_checksum)
    for shown in (None, {}, example.rotate(90), {"background": example, "layers": [clear, paint]}):
        assert not is_unchanged(shown, example_checksum)


@pytest.mark.parametrize("seed", [0, 15])
@pytest.mark.parametrize("name", ["inpainting", "painting"])
def test_a_tab_begins_with_the_mask_of_a_run_without_one_and_can_lose_it(name, seed, model, monkeypatch):
    task, example = TASKS[name], enlarge(draw_picture())
    monkeypatch.setitem(model.presets, name, {"tuned": {"seed": seed}})
    shown = default_paint(task, model, example)
    settings, note = task_settings(task, {"picture": shown, "mask": None})
    mask = pictures.to_mask(settings["mask"], model.image_size)
    picture = pictures.to_tensor(example, model.image_size)
    assert note == "" and torch.equal(mask, task.default_mask(picture, Generators(seed)))
    assert is_unchanged(shown, checksum(shown)) and is_unchanged(example, checksum(shown))
    cleared = mask_part((0, 0, 0, 0), shown)
    assert parse_editor(cleared) == (example, None)
    assert not is_unchanged(mask_part((0, 0, 0.5, 1), shown), checksum(shown))


@pytest.mark.parametrize("name", ["inpainting", "super_resolution", "denoising"])
@pytest.mark.parametrize("size, extent", [((448, 448), "square"), ((700, 500), "whole"), ((900, 900), "whole")])
def test_a_photograph_is_worked_on_as_a_whole(name, size, extent):
    photo = prepare(draw_picture(*size), True)
    assert photo.size == size
    layer = Image.new("RGBA", size)
    layer.paste("white", (20, 20, 60, 60))
    drawn = {"background": photo, "layers": [layer], "composite": None}
    values = {"picture": drawn, "mask": None} if name == "inpainting" else {"picture": photo}
    settings, note = task_settings(TASKS[name], values)
    assert settings["extent"] == extent and settings["picture"].size == size and not note
    assert prepare(draw_picture(4000, 2000), True).size == (LONGEST, LONGEST // 2)
