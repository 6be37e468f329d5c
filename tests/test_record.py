"""Records in pictures, animations and links."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin

from synth import pictures
from synth.parameters import ClassName
from synth.record import KEY, Record
from synth.tasks import find_task
from synth.web.checkpoints import load
from synth.web.editor import enlarge
from tests.conftest import EVERY_TASK, draw_mask, draw_picture, needed

pytestmark = pytest.mark.usefixtures("tiny")
RECORD = Record("sketch", "tiny", {"a": 1})


@EVERY_TASK
def test_a_link_holds_what_differs_and_brings_it_back(task):
    model, draws = load("tiny"), random.Random(0)
    changes = {"seed": 7, "epsilon": 1.5, "depth": 2, "sigma": 9.0}
    values = task.defaults(model) | {name: value for name, value in changes.items() if name in task.parameters}
    words = {name: kind for name, kind in task.parameters.items() if isinstance(kind, ClassName)}
    values |= {name: draws.choice(kind.names(model)) for name, kind in words.items()}
    query = Record(task.name, "tiny", values).to_query(task.defaults(model))
    assert "picture" not in query and "jitter" not in query
    record = Record.from_query(dict(part.split("=") for part in query[1:].split("&")))
    assert (record.task, record.checkpoint, record.restore(task, model)) == (task.name, "tiny", values)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"task": "cooking"}, "task: expected one of generation, "),
        ({"task": "generation", "checkpoint": "nowhere"}, "checkpoint: expected one of "),
        ({"task": "generation", "checkpoint": "tiny", "steps": "many"}, "steps: expected a number from 1 to "),
        ({"task": "generation", "checkpoint": "tiny", "steps": "nan"}, "steps: expected 1 to "),
        ({"task": "generation", "checkpoint": "tiny", "x": "1"}, "x: expected a setting of generation "),
        ({"task": "sketch", "checkpoint": "tiny", "picture": "/etc/passwd"}, "picture: expected a setting of sketch "),
    ],
)
def test_a_bad_link_is_refused_in_one_sentence(query, sentence):
    with pytest.raises(ValueError) as error:
        record = Record.from_query(query)
        record.restore(find_task(record.task), load(record.checkpoint))
    assert str(error.value).startswith(sentence)


@EVERY_TASK
def test_a_saved_picture_brings_its_settings_back(task, tmp_path):
    frame = task(load("tiny"), **needed(task, seed=5))
    frame.save(tmp_path / "saved.png")
    record = Record.read(tmp_path / "saved.png")
    settings = record.restore(task, load("tiny"))
    assert (record.task, record.checkpoint, settings.get("seed", 5)) == (task.name, "tiny", 5)
    shown = {name: enlarge(value) for name, value in settings.items() if isinstance(value, Image.Image)}
    assert torch.equal(task(load("tiny"), **settings | shown).pictures, frame.pictures)


def test_settings_survive_inside_a_png(tmp_path, picture):
    tensor, mask = pictures.to_tensor(picture, 32), pictures.to_mask(draw_mask(), 32)
    settings = {
        "epsilon": 0.1 + 0.2,
        "class": "café \U0001f408",
        "nothing": None,
        "deep": {"a": [1, 2]},
        "picture": tensor,
        "mask": mask,
    }
    Record("sketch", "tiny", settings).save(picture, tmp_path / "x.png")
    restored = Record.read(tmp_path / "x.png").settings
    assert torch.equal(pictures.to_tensor(pictures.read(restored.pop("picture")), 32), tensor)
    assert torch.equal(pictures.to_mask(pictures.read_mask(restored.pop("mask")), 32), mask)
    assert restored == {name: value for name, value in settings.items() if name not in ("picture", "mask")}
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png")), np.asarray(picture))


def test_settings_of_a_large_sheet_are_read(tmp_path):
    """Sheets may be larger than the pictures that tasks accept: 64 pictures at a zoom of 16 are 6,166 wide."""
    RECORD.save(Image.new("L", (pictures.LARGEST + 100, 8)), tmp_path / "x.png")
    assert Record.read(tmp_path / "x.png") == RECORD


def with_text(path, key, text):
    chunk = PngImagePlugin.PngInfo()
    chunk.add_itxt(key, text)
    Image.new("L", (8, 8)).save(path, pnginfo=chunk)


@pytest.mark.parametrize(
    "settings",
    ["", "{", "[1]", '"a"', "7", "{}", '{"a": {"png": "no base64"}}', '{"a": {"png": 3}}', '{"a": {"png": "aaaa"}}'],
)
def test_foreign_settings_are_one_sentence(tmp_path, settings):
    for text in (settings, f'{{"task": "sketch", "checkpoint": "tiny", "settings": {settings}}}'):
        with_text(tmp_path / "x.png", KEY, text)
        if settings != "{}" or text == settings:
            with pytest.raises(ValueError, match="^photo: expected a PNG with the settings of a task"):
                Record.read(tmp_path / "x.png", "photo")


def test_pictures_without_settings_are_one_sentence(tmp_path, picture):
    with_text(tmp_path / "x.png", "comment", json.dumps({"a": 1}))
    picture.save(tmp_path / "x.jpg")
    for value in (tmp_path / "x.png", tmp_path / "x.jpg", tmp_path / "none.png", picture):
        with pytest.raises(ValueError, match="^photo: expected "):
            Record.read(value, "photo")


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_settings_of_a_truncated_png_are_read_or_one_sentence(tmp_path, part):
    RECORD.save(draw_picture(), tmp_path / "x.png")
    data = (tmp_path / "x.png").read_bytes()
    (tmp_path / "x.png").write_bytes(data[: int(part * len(data))])
    try:
        assert Record.read(tmp_path / "x.png", "photo") == RECORD
    except ValueError as error:
        assert str(error).startswith("photo: expected ")


def test_what_cannot_be_stored_is_refused(tmp_path, picture):
    with pytest.raises(TypeError, match="cannot store"):
        Record("sketch", "tiny", {"a": object()}).save(picture, tmp_path / "x.png")


def test_several_pictures_are_all_stored(tmp_path, picture):
    batch = torch.rand(3, 3, 8, 8).mul(255).round() / 255
    Record("sketch", "tiny", {"picture": batch}).save(picture, tmp_path / "x.png")
    images = Record.read(tmp_path / "x.png").settings["picture"]
    assert torch.equal(torch.cat([pictures.to_tensor(image, 8) for image in images]), batch)
