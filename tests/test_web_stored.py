"""The stored results are what the tabs give at a first click, and what the cards and the tour name."""

from __future__ import annotations

import json

import pytest
import torch

from bench import cards
from synth import TASKS, downloads, hub
from synth.web import stored
from synth.web.checkpoints import load
from synth.web.words import TOUR
from tests.conftest import bundled


def test_every_tab_of_the_opened_checkpoints_begins_with_a_result_of_its_own_settings():
    for checkpoint in cards.OPENED:
        model = load(checkpoint)
        for task in TASKS.values():
            one = stored.stored(task.name, checkpoint)
            if not task.supports(model):
                assert one is None
                continue
            assert one is not None, "run python -m bench.cards"
            expected = json.loads(json.dumps(cards.first_click(task, model)))
            settings = {name: one.settings.get(name) or None for name in expected}
            assert settings == {name: value or None for name, value in expected.items()}, (
                f"run python -m bench.cards {one.name}"
            )


@pytest.mark.parametrize("name", ["tiny64-resnet18-slim-l2-denoising", "imagenet20-resnet18-slim-l2-dual-ordinary"])
def test_a_stored_result_is_what_its_settings_give(name):
    one = stored.index()[name]
    kept, record = one.run(), one.record()
    frame = TASKS[one.task](load(one.checkpoint), **record.settings)
    assert (frame.pictures - kept.frame.pictures).abs().mean() < 0.03  # a lossy file
    assert torch.equal(kept.frame.pictures, one.run().frame.pictures)
    if one.compare:
        other = TASKS[one.task](hub.load(one.compare), **record.settings)
        assert (other.pictures - kept.other.pictures).abs().mean() < 0.03


def test_cards_and_tour_name_results_that_are_there_in_small_files():
    assert [one.name for one in stored.cards()] == list(cards.CARDS) and 8 <= len(cards.CARDS) <= 10
    assert len(TOUR) == 5 and set(TOUR) <= stored.index().keys()
    assert sum(path.stat().st_size for path in stored.FOLDER.iterdir()) < 1_500_000
    assert {path.stem for path in stored.FOLDER.glob("*.webp")} == stored.index().keys()


def test_results_are_shown_for_the_same_weights_from_the_hub_alone(checkpoints, monkeypatch):
    with bundled(checkpoints):
        assert stored.stored("translation", "tiny").checkpoint == "tiny"
        monkeypatch.setattr(hub, "bundled", list)
        monkeypatch.setattr(hub, "listed", lambda: ["owner/tiny"])
        monkeypatch.setattr(downloads, "cached", lambda name, revision: checkpoints / "tiny")
        assert stored.stored("translation", "owner/tiny").title and stored.stored("translation", "tiny") is None
        assert [one.name for one in stored.cards()] == ["tiny-translation"]  # the other one needs plain, too
        monkeypatch.setattr(downloads, "cached", lambda name, revision: checkpoints / "plain")
        assert stored.index() == {}
        monkeypatch.setattr(downloads, "cached", lambda name, revision: None)
        assert stored.index() == {}
