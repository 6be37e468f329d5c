"""A checkpoint's folder: every writer seals it, a load checks it once, and damage is one sentence."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import synth
from synth import checkpoint, integrity, tensor_files
from synth.classifier import Classifier
from tests.conftest import CLASSES, make_decoders, make_model, make_start, save_model

MEAN, STD = [0.49, 0.48, 0.45], [0.2, 0.21, 0.22]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A saved model that differs from a fresh one in every setting."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoint"
    presets, info = {"generation": {"tuned": {"epsilon": 3.5}}}, {"name": "saved", "note": "kept"}
    groups, pairs = {"round": ["circle", "dot"]}, [("dot", "circle")]
    more = {"presets": presets, "info": info, "groups": groups, "pairs": pairs}
    return folder, save_model(
        folder, architecture="mobilenet_v2", image_size=64, width=0.25, mean=MEAN, std=STD, **more
    )


@pytest.fixture
def folder(saved, tmp_path):
    """A copy, to change."""
    return Path(shutil.copytree(saved[0], tmp_path / "checkpoint"))


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files that are hashed during a test."""
    names, sha256, verify = [], integrity.sha256, tensor_files.verify
    monkeypatch.setattr(integrity, "sha256", lambda path: names.append(path.name) or sha256(path))
    monkeypatch.setattr(tensor_files, "verify", lambda path, *more: names.append(path.name) or verify(path, *more))
    return names


def test_a_saved_checkpoint_comes_back(saved):
    folder, model = saved
    loaded = synth.load(folder)
    assert not loaded.training and loaded.folder == folder and loaded.source == str(folder)
    assert loaded.config == model.config and loaded.name == "saved" and loaded.classes == CLASSES
    assert Classifier(**loaded.config).config == loaded.config
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
        if tensor.ndim == 1 or name in ("mean", "std"):
            assert torch.equal(loaded.state_dict()[name], tensor), "small tensors keep single precision"
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(64))
    torch.testing.assert_close(loaded(x), model(x), atol=0.02, rtol=0.02)
    torch.testing.assert_close(loaded.start_tensors["basis"].float(), model.start_tensors["basis"], atol=1e-3, rtol=0)
    assert list(loaded.decoders) == list(model.decoders)


def test_saving_what_was_loaded_changes_nothing(folder, tmp_path):
    checkpoint.save(tmp_path / "again", synth.load(folder))
    assert checkpoint.paths(tmp_path / "again").keys() == checkpoint.paths(folder).keys()
    for name, path in checkpoint.paths(folder).items():
        assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name


def test_a_model_alone_is_three_files_in_half_precision(tmp_path):
    model = make_model()
    checkpoint.save(tmp_path, model)
    assert {path.name for path in tmp_path.iterdir()} == {"model.safetensors", "config.json", "seal.json"}
    assert (tmp_path / "model.safetensors").stat().st_size < 2.5 * sum(p.numel() for p in model.parameters())
    assert synth.load(tmp_path).starts == ["noise"]


def test_a_load_hashes_no_file_twice(folder, hashed):
    synth.load(folder)
    assert sorted(hashed) == sorted(checkpoint.SEALED)


def test_every_writer_seals(tmp_path, hashed):
    model = make_model()
    checkpoint.save(tmp_path, model)
    assert checkpoint.verify(tmp_path).sha256.keys() == {"model.safetensors"}
    parts = {"start_tensors": make_start(side=8), "decoders": make_decoders(model), "evaluation": {"runs": {}}}
    for name, part in parts.items():
        before = checkpoint.verify(tmp_path)
        hashed.clear()
        checkpoint.add(tmp_path, **{name: part})
        assert hashed == {"start_tensors": ["start.safetensors"], "decoders": ["decoder.safetensors"]}.get(name, [])
        assert checkpoint.verify(tmp_path).logits == before.logits
    assert checkpoint.verify(tmp_path).sha256.keys() == set(checkpoint.SEALED)
    assert synth.load(tmp_path).sample_start("mean", torch.tensor([0, 3])).shape == (2, 3, 32, 32)
    assert checkpoint.load_evaluation(tmp_path) == {"runs": {}}
    checkpoint.save(tmp_path, make_model(info={"name": "other"}))
    assert "mean" in synth.load(tmp_path).starts, "parts that were there stay"


def test_adding_a_part_does_not_seal_damage_to_another(folder):
    truncate(folder)
    checkpoint.add(folder, start_tensors=make_start(side=8))
    with pytest.raises(ValueError, match="is damaged: model.safetensors differs from its checksum"):
        synth.load(folder)


def test_bundled_checkpoints_share_starts(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "BUNDLED", tmp_path)
    monkeypatch.setattr(checkpoint, "SHARED", tmp_path / "starts")
    (tmp_path / "starts").mkdir()
    start = synth.load(folder).start_tensors
    for name in ("a", "b"):
        model = make_model()
        model.start_tensors = start
        checkpoint.save(tmp_path / name, model)
        assert not (tmp_path / name / "start.safetensors").exists()
        assert checkpoint.paths(tmp_path / name)["start.safetensors"].parent == tmp_path / "starts"
        assert synth.load(tmp_path / name).starts == synth.load(folder).starts
    assert len(list((tmp_path / "starts").iterdir())) == 1
    next((tmp_path / "starts").iterdir()).write_bytes(b"other")
    with pytest.raises(ValueError, match="is damaged: start.safetensors differs"):
        synth.load(tmp_path / "a")


def remove_key(folder):
    state = load_file(folder / "model.safetensors")
    del state["backbone.classifier.1.bias"]
    save_file(state, folder / "model.safetensors")


def add_key(folder):
    state = load_file(folder / "model.safetensors")
    save_file(state | {"backbone.more": torch.zeros(1)}, folder / "model.safetensors")


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit(file, **changes):
    def damage(folder):
        content = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(content | changes))

    return damage


DAMAGE = {
    "missing key": remove_key,
    "unknown key": add_key,
    "truncated weights": truncate,
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "missing weights": lambda folder: (folder / "model.safetensors").unlink(),
    "missing start": lambda folder: (folder / "start.safetensors").unlink(),
    "missing decoder": lambda folder: (folder / "decoder.safetensors").unlink(),
    "missing config": lambda folder: (folder / "config.json").unlink(),
    "config of no JSON": lambda folder: (folder / "config.json").write_text("{"),
    "binary config": lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"),
    "config is a list": lambda folder: (folder / "config.json").write_text("[1]"),
    "unknown architecture": edit("config.json", architecture="vgg"),
    "unknown setting": edit("config.json", depth=3),
    "other classes": edit("config.json", classes=["a"]),
    "other width": edit("config.json", width=0.5),
    "mean of two channels": edit("config.json", mean=[0.5, 0.5]),
    "missing seal": lambda folder: (folder / "seal.json").unlink(),
    "seal of no JSON": lambda folder: (folder / "seal.json").write_text("{"),
    "seal of nothing": edit("seal.json", sha256={}),
    "seal of another file": edit("seal.json", sha256={"../other": "0"}),
    "seal without logits": edit("seal.json", logits=None),
    "other logits": edit("seal.json", logits=[4, 3, 2, 1]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_one_sentence(folder, damage):
    DAMAGE[damage](folder)
    with pytest.raises(ValueError, match=r"^checkpoint: [^\n]+$"):
        synth.load(folder)


OTHER_SHAPE = r"expected a whole model.safetensors in \S+, got backbone\.\S+: expected \w+, got \w+"
ABSURD = {
    "image_size": (10**9, "image_size: expected a whole number from 8 to 1,024, got 1000000000"),
    "image_size that is no number": ("large", "image_size: expected a whole number from 8 to 1,024, got large"),
    "width": (10**6, "width: expected a number above 0 and at most 8, got 1000000"),
    "width that is no number": (float("nan"), "expected finite numbers, got NaN"),
    "width that the weights lack": (8, OTHER_SHAPE),
    "classes": (["a"] * 100_001, "classes: expected a whole number from 1 to 100,000, got 100001"),
    "classes that the weights lack": (["a"] * 90_000, OTHER_SHAPE),
}


@pytest.mark.parametrize("case", ABSURD)
def test_absurd_sizes_are_refused_before_they_take_memory(folder, case, monkeypatch):
    value, words = ABSURD[case]
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"real_losses": {}, case.split()[0]: value}))
    refuse_memory(monkeypatch)
    with pytest.raises(ValueError, match=rf"^checkpoint: [^\n]*{words}[^\n]*$"):
        synth.load(folder)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"channels": [10**9, 8, 8, 8]}, "channels: expected a whole number from 1 to 65,536, got 1000000000"),
        ({"channels": [60_000, 60_000, 60_000, 60_000]}, "blocks.0.0.weight: expected 60000x60000x3x3, got "),
        ({"channels": [8] * 99, "scales": [1] * 99}, "channels: expected a whole number from 1 to 16, got 99"),
        ({"scales": [10**9, 2, 2, 2]}, "scales: expected a whole number from 1 to 1,024, got 1000000000"),
        ({"width": 1e6}, "width: expected a number above 0 and at most 8, got 1000000.0"),
    ],
)
def test_absurd_decoders_are_refused_before_they_take_memory(folder, changes, words, monkeypatch):
    configs = json.loads((folder / "decoder.json").read_text())
    configs[""] |= changes
    (folder / "decoder.json").write_text(json.dumps(configs))
    refuse_memory(monkeypatch)
    with pytest.raises(ValueError, match=rf"^decoder: expected a whole decoder.safetensors [^\n]*{words}[^\n]*$"):
        synth.load(folder)


def refuse_memory(monkeypatch):
    """Tensors of more than a million numbers are not made, but on the device that has no memory."""
    empty = torch.empty

    def bounded(*size, **more):
        wish = empty(*size, **more | {"device": "meta"})
        assert wish.numel() < 1e6 or empty(0).device.type == "meta", tuple(wish.shape)
        return empty(*size, **more)

    monkeypatch.setattr(torch, "empty", bounded)


@pytest.mark.parametrize("damage", [remove_key, add_key])
def test_sealed_weights_must_fit_the_network(folder, damage):
    damage(folder)
    seal = integrity.Seal.read(folder / "seal.json")
    seal.sha256["model.safetensors"] = integrity.sha256(folder / "model.safetensors")
    seal.write(folder / "seal.json")
    with pytest.raises(ValueError, match=r"^checkpoint: expected a whole model.safetensors in [^\n]+$"):
        synth.load(folder)


def test_a_pickle_is_never_read(folder, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    (folder / "model.safetensors").write_bytes(pickle.dumps(Bomb()))
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(ValueError, match="differs from its checksum"):
        synth.load(folder)
    seal = integrity.Seal.read(folder / "seal.json")
    seal.sha256["model.safetensors"] = integrity.sha256(folder / "model.safetensors")
    seal.write(folder / "seal.json")
    with pytest.raises(ValueError, match="expected a whole model.safetensors"):
        synth.load(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="is incomplete: no model.safetensors"):
        synth.load(folder)
    assert not (tmp_path / "exploded").exists()


def test_another_answer_to_the_known_picture_is_refused(folder):
    seal = integrity.Seal.read(folder / "seal.json")
    integrity.Seal(seal.sha256, seal.logits[::-1]).write(folder / "seal.json")
    with pytest.raises(ValueError, match="its logits for the known picture differ"):
        synth.load(folder)
