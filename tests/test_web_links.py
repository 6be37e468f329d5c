"""Settings in links and in pictures."""

from __future__ import annotations

import random

import pytest
import torch
from PIL import Image

from synth import TASKS, pictures
from synth.parameters import ClassName
from synth.web.checkpoints import load
from synth.web.editor import enlarge
from synth.web.links import from_link, from_picture, link
from tests.conftest import draw_picture, needed

pytestmark = pytest.mark.usefixtures("tiny")
EVERY_TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@EVERY_TASK
def test_a_link_holds_what_differs_and_brings_it_back(task):
    model, draws = load("tiny"), random.Random(0)
    changes = {"seed": 7, "epsilon": 1.5, "depth": 2, "sigma": 9.0}
    values = task.defaults(model) | {name: value for name, value in changes.items() if name in task.parameters}
    words = {name: kind for name, kind in task.parameters.items() if isinstance(kind, ClassName)}
    values |= {name: draws.choice(kind.names(model)) for name, kind in words.items()}
    query = link(task, "tiny", values)
    assert "picture" not in query and "jitter" not in query
    restored, checkpoint, settings = from_link(dict(part.split("=") for part in query[1:].split("&")))
    assert (restored, checkpoint, settings) == (task, "tiny", values)


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
        from_link(query)
    assert str(error.value).startswith(sentence)


@EVERY_TASK
def test_a_saved_picture_brings_its_settings_back(task, tmp_path):
    frame = task(load("tiny"), **needed(task, seed=5))
    frame.save(tmp_path / "saved.png")
    restored, checkpoint, settings = from_picture(tmp_path / "saved.png")
    assert (restored, checkpoint, settings.get("seed", 5)) == (task, "tiny", 5)
    shown = {name: enlarge(value) for name, value in settings.items() if isinstance(value, Image.Image)}
    assert torch.equal(task(load("tiny"), **settings | shown).pictures, frame.pictures)


@pytest.mark.parametrize("record", [{}, {"settings": 3}, {"task": "x", "checkpoint": "tiny", "settings": {}}])
def test_a_picture_with_other_settings_is_refused_in_one_sentence(record, tmp_path):
    pictures.save(draw_picture(), tmp_path / "other.png", record)
    with pytest.raises(ValueError, match="^(picture|task): expected "):
        from_picture(tmp_path / "other.png")
