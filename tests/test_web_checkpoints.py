"""What the page says of checkpoints, and which of them it compares."""

from __future__ import annotations

import json

import pytest
import torch

from synth import TASKS
from synth.web import checkpoints
from synth.web.checkpoints import NOTHING, comparable, ordinary, title
from tests.conftest import draw_picture


def test_checkpoints_are_named_in_words(tiny):
    assert title("tiny") == "4 classes, 32 pixels: tiny" and title("owner/name") == "owner/name"


def test_only_checkpoints_of_the_same_classes_are_compared(tmp_path, monkeypatch):
    rows = {"a-l2": "ab", "a-standard": "ab", "b-l2": "xy"}
    for name, classes in rows.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps({"classes": list(classes), "info": {}}))
    monkeypatch.setattr(checkpoints.hub, "BUNDLED", tmp_path)
    monkeypatch.setattr(checkpoints.hub, "selectable", lambda: list(rows))
    assert comparable("a-l2") == ["a-standard"] and comparable("b-l2") == []
    assert [ordinary(name) for name in rows] == ["a-standard", NOTHING, NOTHING]


def test_a_task_is_for_checkpoints_that_can_do_it(model):
    bare = type("Bare", (), {"decoder": None})
    able = [name for name, task in TASKS.items() if task.supports(bare)]
    assert set(TASKS) - set(able) == {
        "reconstruction",
        "interpolation",
        "denoising",
        "style_transfer",
        "anomaly_detection",
    }
    assert all(task.supports(model) for task in TASKS.values())


@pytest.mark.parametrize("sigma", [None, 25])
def test_a_picture_is_made_noisier_only_when_that_is_asked_for(model, sigma):
    settings = {} if sigma is None else {"sigma": sigma}
    start = next(TASKS["denoising"].frames(model, picture=draw_picture(), **settings)).start
    picture = TASKS["denoising"].check(model, picture=draw_picture())["picture"]
    assert torch.equal(start, picture) == (sigma is None)
