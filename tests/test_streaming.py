"""Pictures that stay on disk: the same pictures and weights as from memory, each once an epoch, read by one process."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
import torch

from tests.test_data import png, write_parquet
from tests.toys import noise, same_weights, write_pictures
from tests.train_toy import TOY
from training import data as pictures
from training import sources
from training.data import hold_out, load
from training.loop import Run
from training.recipes import command, recipe
from training.train import train


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("toy"), noise, train=36)


@pytest.fixture
def on_disk(monkeypatch):
    monkeypatch.setattr(pictures, "IN_MEMORY", 0)


def test_they_are_indexed_like_those_in_memory(toy, monkeypatch):
    memory = load(toy, "train", 32)
    monkeypatch.setattr(pictures, "IN_MEMORY", 0)
    disk = load(toy, "train", 32)
    assert memory.in_memory and not disk.in_memory and disk.classes == memory.classes
    index = torch.tensor([5, 0, 63])
    for one, other in ((disk, memory), *zip(hold_out(disk, TOY), hold_out(memory, TOY), strict=True)):
        assert len(one) == len(other) > 5 and one.pictures.shape == other.pictures.shape
        for part in (index % len(one), slice(2, 5)):
            assert all(torch.equal(a, b) for a, b in zip(one[part], other[part], strict=True))
    assert disk.at(16)[:3][0].shape == memory.at(16)[:3][0].shape == (3, 3, 16, 16)
    assert (disk.at(16)[:3][0] - memory.at(16)[:3][0]).abs().max() < 0.02  # two bicubic filters


def test_a_training_from_disk_gives_the_same_weights_even_if_it_was_interrupted(toy, tmp_path, monkeypatch):
    # Dropout draws from the global generator, so its randomness has to follow the step as well.
    config = dataclasses.replace(TOY, architecture="mobilenet_v2", epochs=1)
    memory = train(config, toy, tmp_path / "memory", quiet=True)
    monkeypatch.setattr(pictures, "IN_MEMORY", 0)
    for minutes in (0, 9):
        disk = train(config, toy, tmp_path / "disk", quiet=True, max_minutes=minutes)
    assert same_weights(memory, disk)


@pytest.mark.parametrize("processes", [1, 2])
def test_every_picture_is_read_once_an_epoch(toy, on_disk, tmp_path, monkeypatch, processes):
    monkeypatch.setattr("training.loop.WORKERS", 0)
    data, read = load(toy, "train", 32), []
    decode = type(data.pictures).decode
    monkeypatch.setattr(type(data.pictures), "decode", lambda self, i: read.append(i) or decode(self, i))
    config = dataclasses.replace(TOY, batch_size=24, epochs=2)
    for process in range(processes):
        of = SimpleNamespace(process_index=process, num_processes=processes, is_main_process=False)
        for batch in Run("toy", tmp_path, of, recipe={}, quiet=True).batches(data, config):
            assert len(batch.pictures) == len(batch.labels) == len(batch) / processes == 24 / processes
            assert torch.equal(batch.labels, data.labels[batch.indices[batch.part]])
    assert len(data) == 72 and sorted(read) == sorted([*range(72)] * 2)


def test_another_picture_of_its_class_stands_in_for_a_damaged_one(toy, on_disk, capsys):
    data = load(toy, "train", 32)
    path = toy / data.pictures.source.name(3)
    content = path.read_bytes()
    try:
        path.write_bytes(content[:40])
        assert torch.equal(data[[3]][0], data[[4]][0])
    finally:
        path.write_bytes(content)
    assert f"skipped {data.pictures.source.name(3)}: " in capsys.readouterr().err


def test_large_parquet_files_are_read_by_the_library_datasets(tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    for shard, levels in enumerate(([10, 20], [30, 40, 50])):
        rows = [(png(level), index % 2) for index, level in enumerate(levels)]
        write_parquet(tmp_path / f"train-{shard}.parquet", rows)
    memory = load(tmp_path, "train", 8)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sources, "MEMORY", 0)
    monkeypatch.setattr(pictures, "IN_MEMORY", 0)
    disk = load(tmp_path, "train", 8)
    assert not disk.in_memory and disk.classes == memory.classes == ["cat", "dog"]
    assert all(torch.equal(one, other) for one, other in zip(disk[:], memory[:], strict=True))
    assert disk.pictures.source.name(3) == "train-1.parquet[1]"


def test_the_phases_of_a_recipe_have_their_sizes(toy, tmp_path):
    config = dataclasses.replace(TOY, phases=((16, 1, 1), (32, 3, 2)), epochs=4, padding=4)
    phases = [config.phase(epoch) for epoch in range(4)]
    assert [one.image_size for one in phases] == [16, 32, 32, 32]
    assert [one.attack_steps for one in phases] == [1, 2, 2, 2]
    assert [one.epsilon for one in phases] == [0.25, 0.5, 0.5, 0.5] and phases[0].padding == 2
    model = train(dataclasses.replace(config, epochs=2, phases=((16, 1, 1), (32, 1, 2))), toy, tmp_path, quiet=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert "held_out_pgd10_0.25" in lines[0] and "held_out_pgd10_0.5" in lines[1] and model.image_size == 32
    assert command(recipe("folder", phases=((32, 1, 1), (64, 1, 2)))).endswith("--set phases=32:1:1,64:1:2")
