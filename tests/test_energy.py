"""The second stage: negatives climb, the curriculum lengthens the climb, the run learns and resumes exactly."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import synth
from synth import checkpoint
from synth.classifier import Classifier
from tests.conftest import make_start
from tests.toys import noise, same_weights, write_pictures
from training import energy, train_state
from training.config import TrainConfig
from training.train import train


def test_the_climb_lengthens_once_real_pictures_are_distinguished_from_negatives():
    curriculum = energy.Curriculum(auc=0.75, most=2)
    curriculum.add(torch.ones(energy.MEMORY - 1), torch.zeros(energy.MEMORY - 1))
    assert curriculum.steps == 0 and curriculum.area() == 1  # not yet enough pictures
    curriculum.add(torch.ones(1), torch.zeros(1))
    assert curriculum.steps == 1 and curriculum.area() == 0.5  # distinguished; the longer climb is judged anew
    curriculum.add(torch.zeros(energy.MEMORY), torch.ones(energy.MEMORY))
    assert curriculum.steps == 1
    for _ in range(5):
        curriculum.add(torch.ones(energy.MEMORY), torch.zeros(energy.MEMORY))
    assert curriculum.steps == 2  # the most


def test_the_area_is_the_chance_that_real_scores_higher():
    curriculum = energy.Curriculum(0.75, 1)
    curriculum.add(torch.tensor([1.0, 2.0]), torch.tensor([0.0, 1.0]))
    assert curriculum.area() == pytest.approx((1 + 0.5 + 1 + 1) / 4)


def test_negatives_climb_by_unit_steps(model):
    start, labels = torch.full((3, 3, 32, 32), 0.5), torch.tensor([0, 1, 2])
    climbed = energy.climb(model, start, labels, 5, 0.1)
    with torch.no_grad():
        assert (energy.scores(model(climbed), labels) > energy.scores(model(start), labels)).all()
    assert ((climbed - start).flatten(1).norm(dim=1) <= 0.5 + 1e-5).all()
    assert energy.climb(model, start, labels, 0, 0.1) is not None


def test_negatives_begin_as_pictures_of_other_classes_or_as_starts_at_the_size_of_the_training(model):
    generator = torch.Generator().manual_seed(0)
    starts, sought = energy.draw(model, None, 64, 16, generator)
    x, y = torch.rand(64, 3, 16, 16), torch.arange(64) % len(model.classes)
    begun, wanted = energy.turn(starts, sought, x, y, len(model.classes))
    assert torch.equal(begun[1::2], x[1::2]) and torch.equal(begun[::2], starts[::2])
    assert (wanted[1::2] != y[1::2]).all() and set(wanted.tolist()) == set(range(len(model.classes)))
    assert torch.equal(wanted[::2], sought[::2])
    elsewhere = torch.full((5, 3, 32, 32), 255, dtype=torch.uint8)
    starts, _ = energy.draw(model, elsewhere, 8, 16, generator)
    assert starts.shape == (8, 3, 16, 16) and (starts[4:] == 1).all() and (starts[:4] < 1).any()


def test_scores_are_centred_and_no_class_gains(model):
    model = model.folded_copy()
    real, fake, labels = torch.rand(8, 3, 32, 32), torch.rand(8, 3, 32, 32), torch.arange(8) % len(model.classes)
    with torch.no_grad():
        before = model(real)
        model.head.bias -= energy.middle(model, real, labels, fake, labels)
        after = model(real)
        means = [energy.scores(logits, labels).mean().item() for logits in (after, model(fake))]
    assert means[0] == pytest.approx(-means[1], abs=1e-4)
    assert torch.allclose(before.softmax(1), after.softmax(1), atol=1e-5)


def test_the_loss_falls_as_the_scores_part():
    zeros = torch.zeros(4)
    assert energy.loss(zeros, zeros).item() == pytest.approx(2 * np.log(2), abs=1e-6)
    assert energy.loss(zeros + 3, zeros - 3) < energy.loss(zeros, zeros) < energy.loss(zeros - 3, zeros + 3)


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    """Data, and a config that begins with an untrained checkpoint."""
    root = write_pictures(tmp_path_factory.mktemp("stage"), noise, train=36)
    torch.manual_seed(0)
    model = Classifier(width=0.125, classes=["dark", "light"])
    with torch.no_grad():
        model.train()(torch.rand(16, 3, 32, 32))
    model.start_tensors = make_start(classes=2)
    checkpoint.save(root / "first", model)
    settings = dict(attack_steps=1, attack_step_size=0.5, schedule="constant", learning_rate=0.05, freeze_norm=True)
    settings |= dict(initial=str(root / "first"), energy_steps=3, ema=0)
    return root, TrainConfig("toy-dual", width=0.125, epochs=2, batch_size=16, **settings)


def test_the_second_stage_learns_and_resumes_to_the_same_weights(stage, tmp_path):
    root, config = stage
    whole = train(config, root, tmp_path / "whole", quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "whole/metrics.jsonl").read_text().splitlines()]
    assert lines[1]["loss"] < lines[0]["loss"] and lines[1]["auc"] > 0.5 and lines[1]["energy_steps"] == 0
    begun = synth.load(root / "first")
    norms = [name for name in whole.state_dict() if "running" in name]
    assert norms and all(torch.equal(whole.state_dict()[name], begun.state_dict()[name]) for name in norms)

    train(config, root, tmp_path / "cut", max_minutes=0, quiet=True)
    assert len(train_state.latest(tmp_path / "cut")[1]["curriculum"]["real"]) == 16
    resumed = train(config, root, tmp_path / "cut", quiet=True)
    assert same_weights(whole, resumed)


@pytest.mark.parametrize("negatives", ["elsewhere", "batch"])
def test_half_of_the_negatives_begin_as_pictures(stage, tmp_path, negatives):
    root, config = stage
    source = str(root) if negatives == "elsewhere" else negatives
    changed = dataclasses.replace(config, negatives=source, epochs=2, phases=((16, 1, 1), (32, 1, 1)))
    train(changed, root, tmp_path, quiet=True)
    assert (tmp_path / "checkpoint/model.safetensors").exists()


def test_a_second_stage_needs_a_fitting_first(stage, tmp_path):
    root, config = stage
    with pytest.raises(ValueError, match="^initial: expected"):
        TrainConfig("x", energy_steps=3)
    with pytest.raises(ValueError, match="^initial: expected a network like"):
        train(dataclasses.replace(config, width=0.25), root, tmp_path, quiet=True)
    bare = synth.load(root / "first")
    bare.start_tensors = {}
    checkpoint.save(root / "bare", bare)
    with pytest.raises(ValueError, match="^initial: expected a checkpoint with a start"):
        train(dataclasses.replace(config, initial=str(root / "bare")), root, tmp_path, quiet=True)
