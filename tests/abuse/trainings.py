"""Faults around a training: two at once, another recipe, a loss that is no number, a full disk, a killed process."""

from __future__ import annotations

import dataclasses
import errno
import os
import random
import signal
import time
from pathlib import Path

import pytest
import torch

import synth
from synth import checkpoint
from tests.abuse.measure import attack
from tests.conftest import make_model
from tests.toys import noise, write_pictures
from tests.train_toy import TOY
from training import train as training
from training import train_state


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A data set, and the folder of a run on it that has one step behind it."""
    folder = tmp_path_factory.mktemp("begun")
    write_pictures(folder / "toy", noise, train=12)
    training.train(TOY, folder / "toy", folder / "run", max_minutes=0, quiet=True)
    return folder


def go_on(begun: Path, **changes):
    """The run with another recipe; it ends after one step."""
    config = dataclasses.replace(TOY, **changes)
    return training.train(config, begun / "toy", begun / "run", max_minutes=0, quiet=True)


@attack("refused")
def test_two_runs_on_one_folder(begun):
    """a second training that writes to the same folder"""
    held = train_state.lock(begun / "run")
    before = train_state.latest(begun / "run")[1]
    with pytest.raises(ValueError, match=r"^output: expected a folder that no other run writes to, got "):
        go_on(begun)
    assert train_state.latest(begun / "run")[1] == before
    held.close()


CHANGES = {"epochs": 9, "epsilon": 1.0, "phases": ((16, 1, 1), (32, 1, 1))}


@attack("refused")
@pytest.mark.parametrize("name", CHANGES)
def test_another_recipe(begun, name):
    """a training that goes on with another recipe, unless --change-recipe:"""
    with pytest.raises(
        ValueError, match=rf"^{name}: expected the recipe of the run in [^\n]+; --change-recipe goes on"
    ):
        go_on(begun, **{name: CHANGES[name]})


@attack("harmless")
def test_another_recipe_when_told(begun, tmp_path):
    """a training that goes on with another recipe, with --change-recipe"""
    training.train(TOY, begun / "toy", tmp_path, max_minutes=0, quiet=True)
    config = dataclasses.replace(TOY, epochs=3)
    training.train(config, begun / "toy", tmp_path, max_minutes=0, quiet=True, change_recipe=True)
    assert train_state.latest(tmp_path)[1]["step"] == 2
    training.train(config, begun / "toy", tmp_path, max_minutes=0, quiet=True)  # it is the run's recipe now


@attack("refused")
def test_another_network(begun, tmp_path):
    """a training that goes on with another network"""
    training.train(TOY, begun / "toy", tmp_path, max_minutes=0, quiet=True)
    with pytest.raises(ValueError, match=r"^output: expected a save of this network"):
        training.train(dataclasses.replace(TOY, width=0.25), begun / "toy", tmp_path, quiet=True, change_recipe=True)


@attack("refused")
def test_a_loss_that_is_no_number(begun, tmp_path, monkeypatch):
    """a training whose loss becomes NaN: it stops, and the last good save stays"""
    training.train(TOY, begun / "toy", tmp_path, max_minutes=0, quiet=True)
    attack = training.attack
    monkeypatch.setattr(training, "attack", lambda *arguments: attack(*arguments) * torch.nan)
    with pytest.raises(ValueError, match=r"^loss: expected a finite number, got nan; the last save in [^\n]+ stays$"):
        training.train(TOY, begun / "toy", tmp_path, quiet=True)
    monkeypatch.undo()
    assert train_state.latest(tmp_path)[1]["step"] == 1
    assert all(p.isfinite().all() for p in training.train(TOY, begun / "toy", tmp_path, quiet=True).parameters())


@attack("refused")
def test_weights_that_are_no_numbers(tmp_path):
    """a save of weights that are infinite: the save before stays"""
    train_state.save(tmp_path, 1, {"x": torch.ones(2)}, {"step": 1})
    with pytest.raises(ValueError, match=r"^loss: expected a run that converges, got x that is not finite in step 2$"):
        train_state.save(tmp_path, 2, {"x": torch.tensor([1, torch.inf])}, {"step": 2})
    assert train_state.latest(tmp_path)[1]["step"] == 1


@attack("refused")
@pytest.mark.parametrize("when", ["the tensors", "the facts"])
def test_a_full_disk(when, tmp_path, monkeypatch):
    """a disk that is full when a training saves: the save before stays, nothing is left over; full at"""
    train_state.save(tmp_path, 1, {"x": torch.ones(2)}, {"step": 1})
    before = sorted(path.name for path in tmp_path.iterdir())

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(*((train_state, "save_file") if when == "the tensors" else (Path, "write_text")), full)
    with pytest.raises(
        ValueError, match=r"^output: expected room to save step 2, got a full disk; the one before stays$"
    ):
        train_state.save(tmp_path, 2, {"x": torch.ones(2)}, {"step": 2})
    assert train_state.latest(tmp_path)[1]["step"] == 1
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".partial"] == []
    assert set(before) <= {path.name for path in tmp_path.iterdir()}


@attack("refused")
def test_a_full_disk_while_a_checkpoint_is_saved(tmp_path, monkeypatch):
    """a disk that is full when a checkpoint is saved over another: the other stays"""
    checkpoint.save(tmp_path, model := make_model())

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OSError):
        checkpoint.save(tmp_path, make_model(info={"name": "other"}))
    assert torch.equal(synth.load(tmp_path).mean, model.mean) and not [p for p in tmp_path.iterdir() if p.is_dir()]


KILLS = 20


@attack("harmless")
def test_kills_during_saves(tmp_path):
    """kill -9 at 20 random moments while a training saves: at most the save that was being written is lost"""
    chance, reached = random.Random(0), 0
    tensors = {str(index): torch.rand(100, 100) for index in range(8)}
    for _ in range(KILLS):
        reader, writer = os.pipe()
        child = os.fork()
        if not child:
            step = reached
            while True:  # until it is killed
                step += 1
                train_state.save(tmp_path, step, tensors, {"step": step})
                os.write(writer, b"%08d" % step)
        os.close(writer)
        time.sleep(chance.uniform(0.01, 0.15))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(reader, "rb") as file:
            told = file.read()
        finished = int(told[-8:] or reached)
        loaded, facts = train_state.latest(tmp_path) or ({}, {"step": 0})
        assert facts["step"] in (finished, finished + 1)
        assert all(torch.equal(loaded[name], tensor) for name, tensor in tensors.items() if loaded)
        reached = facts["step"]
    assert reached > KILLS and len(list(tmp_path.glob("state-*.safetensors"))) <= train_state.KEPT + 1


@attack("harmless")
def test_a_lock_of_a_killed_run(tmp_path):
    """kill -9 of a training that has its folder locked: the next one takes it"""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        file = train_state.lock(tmp_path)
        os.write(writer, b"locked")
        time.sleep(60)
        file.close()
    assert os.read(reader, 6) == b"locked"
    with pytest.raises(ValueError, match="no other run"):
        train_state.lock(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    train_state.lock(tmp_path).close()
