"""Pictures and links of earlier versions still restore: docs/*.png hold former names of settings."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from synth import hub
from synth.record import Record
from synth.tasks import TASKS, find_task

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = sorted(DOCS.glob("*.png"))
load = cache(hub.load)


@pytest.mark.parametrize("path", PICTURES, ids=lambda path: path.stem)
def test_a_former_picture_restores_all_its_settings(path):
    record = Record.read(path)
    task = find_task(record.task)
    settings = record.restore(task, load(record.checkpoint))
    assert set(settings) == set(task.parameters)
    assert task.check(load(record.checkpoint), **settings)


def test_every_task_has_a_former_picture():
    assert {Record.read(path).task for path in PICTURES} == set(TASKS)


def test_a_former_link_restores_its_feature():
    record = Record.from_query({"task": "painting", "checkpoint": hub.DEFAULT, "unit": "7"})
    assert record.restore(TASKS["painting"], load(hub.DEFAULT))["feature"] == 7
