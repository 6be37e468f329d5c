"""A stranger's checkpoint: numbers of any size, headers that lie, other types, deep and huge JSON."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import synth
from synth import TASKS, checkpoint, integrity, tensor_files
from tests.abuse.bombs import bomb
from tests.abuse.measure import attack, costing
from tests.conftest import save_model

MEMORY, SECONDS = 100, 1
"""MB and seconds that a configuration bomb may cost."""
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """A checkpoint that is well, with everything that one may have."""
    folder = tmp_path_factory.mktemp("strangers") / "checkpoint"
    save_model(folder)
    synth.load(folder)  # what is imported at first is not the attack's
    return folder


@pytest.fixture
def folder(strangers, tmp_path):
    return Path(shutil.copytree(strangers, tmp_path / "checkpoint"))


def rewrite(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def put(*place):
    """A change that puts the last of ``place`` under the keys before it."""
    *keys, last, value = place

    def change(content):
        for key in keys:
            content = content.setdefault(key, {})
        content[last] = value

    return change


def refused_cheaply(folder: Path, words: str = r"^(checkpoint|start|decoder): ") -> None:
    with costing() as cost, pytest.raises(ValueError, match=words) as error:
        synth.load(folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
    assert cost.peak < MEMORY and cost.seconds < SECONDS * 5  # the machine may be busy; the table has the figures


CONFIGS = {
    "image_size of 10^9": put("image_size", 10**9),
    "image_size of 1023.5": put("image_size", 1023.5),
    "image_size of true": put("image_size", True),
    "width of 10^9": put("width", 10**9),
    "width of infinity": put("width", float("inf")),
    "width within bounds, for 180 M weights that are not there": put("width", 4),
    "architecture of 100,000 parts": put("architecture", "resnet18" + "+blur" * 100_000),
    "architecture that is a list": put("architecture", ["resnet18"]),
    "10^5 + 1 classes": put("classes", ["a"] * 100_001),
    "a class name of a million letters": put("classes", ["a" * 1_000_000, "b", "c", "d"]),
    "class names with line breaks": put("classes", ["a\nb", "b", "c", "d"]),
    "class names that are numbers": put("classes", [1, 2, 3, 4]),
    "mean of a thousand channels": put("mean", [0.5] * 1000),
    "standard deviation of zero": put("std", [0, 0, 0]),
    "NaN as mean": put("mean", [float("nan")] * 3),
    "real losses that are words": put("real_losses", {"logit": ["a"] * 4}),
    "presets that are a list": put("presets", [1]),
    "presets of words": put("presets", {"generation": {"tuned": "fast"}}),
    "groups that are numbers": put("groups", {"round": [1]}),
    "pairs of one": put("pairs", [["circle"]]),
    "a name of 10,000 letters": put("info", {"name": "a" * 10_000}),
    "info that is a word": put("info", "x"),
}


@attack("refused")
@pytest.mark.parametrize("case", CONFIGS)
def test_config(folder, case):
    """config.json"""
    rewrite(folder / "config.json", CONFIGS[case])
    refused_cheaply(folder, r"^checkpoint: ")


TEXTS = {
    "nested 200,000 deep": "[" * 200_000 + "]" * 200_000,
    "100 MB": '{"a": "' + "b" * 100_000_000 + '"}',
    "2 MB of empty objects": '{"a": [' + "{}," * 690_000 + "{}]}",
    "a number of 100,000 digits": '{"width": ' + "9" * 100_000 + "}",
    "a list": "[1, 2]",
    "bytes that are no text": "\ud800",
    "nothing": "",
}


@attack("refused")
@pytest.mark.parametrize("file", ["config.json", "seal.json", "decoder.json"])
@pytest.mark.parametrize("case", TEXTS)
def test_json(folder, file, case):
    """JSON that is"""
    (folder / file).write_bytes(TEXTS[case].encode(errors="surrogatepass"))
    refused_cheaply(folder)


SEALS = {
    "a checksum for ../../etc/passwd": put("sha256", "../../etc/passwd", "0" * 64),
    "no checksum for the weights": lambda seal: seal["sha256"].pop("model.safetensors"),
    "no checksum for a start that is there": lambda seal: seal["sha256"].pop("start.safetensors"),
    "checksums that are lists": put("sha256", {"model.safetensors": [1]}),
    "a million logits": put("logits", [0.0] * 300_000),
    "infinite logits": put("logits", [float("inf")] * 4),
    "another network's logits": put("logits", [1.0, 2.0, 3.0, 4.0]),
}


@attack("refused")
@pytest.mark.parametrize("case", SEALS)
def test_seal(folder, case):
    """seal.json with"""
    rewrite(folder / "seal.json", SEALS[case])
    refused_cheaply(folder, r"^checkpoint: ")


def header(path: Path, text: bytes, length: int | None = None, rest: bytes = b"") -> None:
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + rest)


def seal_again(folder: Path, file: str) -> None:
    """As its author would: the checksum fits."""
    rewrite(folder / "seal.json", put("sha256", file, integrity.sha256(folder / file)))


def shape(*sides: int, kind: str = "F32", name: str = "mean") -> bytes:
    return json.dumps({name: {"dtype": kind, "shape": sides, "data_offsets": [0, 4]}}).encode()


HEADERS = {
    "length of 2^63": lambda path: header(path, b"{}", 2**63),
    "length beyond the file": lambda path: header(path, b"{}", 1000),
    "nested 100,000 deep": lambda path: header(path, b"[" * 100_000),
    "shape of 2^60 numbers in 4 bytes": lambda path: header(path, shape(2**30, 2**30), rest=b"\0" * 4),
    "negative shape": lambda path: header(path, shape(-1), rest=b"\0" * 4),
    "shape that is a word": lambda path: header(path, shape("a"), rest=b"\0" * 4),
    "unknown type": lambda path: header(path, shape(1, kind="F128"), rest=b"\0" * 4),
    "tensors that no network has": lambda path: save_file({"more": torch.zeros(4)}, path),
    "no tensor": lambda path: save_file({}, path),
}


@attack("refused")
@pytest.mark.parametrize("file", checkpoint.SEALED)
@pytest.mark.parametrize("case", HEADERS)
def test_header(folder, file, case):
    """safetensors header:"""
    HEADERS[case](folder / file)
    seal_again(folder, file)
    refused_cheaply(folder)


def statistics(**changes):
    def change(tensors):
        return tensors | {name: edit(tensors[name]) for name, edit in changes.items()}

    return change


STARTS = {
    "of fewer classes": lambda tensors: {name: one[:2].contiguous() for name, one in tensors.items()},
    "of pictures that are no squares": statistics(
        mean=lambda t: t[:, :-3].contiguous(), basis=lambda t: t[..., :-3].contiguous()
    ),
    "with NaN": statistics(mean=lambda t: t * torch.nan),
    "with infinite deviations": statistics(deviation=lambda t: t / 0),
    "with weights below zero": statistics(weights=lambda t: -t),
}


@attack("refused")
@pytest.mark.parametrize("case", STARTS)
def test_start(folder, case):
    """start.safetensors"""
    path = folder / "start.safetensors"
    save_file(STARTS[case](load_file(path)), path)
    seal_again(folder, path.name)
    refused_cheaply(folder, "^start: ")


DECODERS = {
    "channels of 10^9": put("", "channels", [10**9, 8, 8, 8]),
    "a map of 65,000 channels": put("", "channels", [65_000] * 4),
    "100 stages": put("", "channels", [8] * 100),
    "scales that enlarge a million times": put("", "scales", [1000, 1000, 1, 1]),
    "width of 10^9": put("", "width", 10**9),
    "65 decoders": lambda configs: configs.update({str(i): configs[""] for i in range(65)}),
    "normal scores that are words": put("", "info", {"normal_scores": ["a"]}),
    "a decoder that is a list": put("", [1]),
}


@attack("refused")
@pytest.mark.parametrize("case", DECODERS)
def test_decoder(folder, case):
    """decoder.json with"""
    rewrite(folder / "decoder.json", DECODERS[case])
    refused_cheaply(folder, "^decoder: ")


PRESETS = {
    "steps of 10^9": {"steps": 10**9},
    "epsilon of a word": {"epsilon": MARKUP},
    "a count of a million": {"count": 10**6},
    "a setting that does not exist": {"__class__": "x"},
    "a picture's file": {"picture": "/etc/passwd"},
    "a class that does not exist": {"class_name": "unicorn"},
}


@attack("refused")
@pytest.mark.parametrize("case", PRESETS)
def test_preset(folder, case):
    """preset with"""
    rewrite(folder / "config.json", put("presets", "generation", "tuned", PRESETS[case]))
    model = synth.load(folder)
    with pytest.raises(ValueError, match=rf"^{next(iter(PRESETS[case]))}: expected [^\n]+$"):
        TASKS["generation"](model)


FEATURES = {
    "a sheet of 60,000 x 60,000 pixels": lambda rows, page: page.update(bytes=bomb(60_000, 60_000)),
    "a sheet of 25 million pixels": lambda rows, page: page.update(bytes=bomb(5000, 5000)),
    "image_size of 10^9": lambda rows, page: rows.update(image_size=10**9),
    "a million rows": lambda rows, page: rows.update(features=rows["features"] * 5000),
    "classes that are lists": lambda rows, page: rows["features"][0].update(classes=[[1]]),
    "a lift of infinity": lambda rows, page: rows["features"][0].update(lifts=float("inf")),
}


@attack("refused")
@pytest.mark.parametrize("case", FEATURES)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_features(folder, case):
    """features.json and features.png with"""
    page, row = {"bytes": bomb(64, 32)}, {"classes": {"circle": 0.5}, "activation": 1, "lifts": 1}
    rows = {"image_size": 32, "features": [row, dict(row)]}
    FEATURES[case](rows, page)
    (folder / "features.png").write_bytes(page["bytes"])
    (folder / "features.json").write_text(json.dumps(rows))
    with costing() as cost, pytest.raises(ValueError, match=r"^checkpoint: expected readable features\.png and "):
        checkpoint.load_features(folder)
    assert cost.peak < MEMORY


@attack("harmless")
def test_examples(folder):
    """a thousand examples, and one of 20,000 pixels a side"""
    (folder / "examples").mkdir()
    Image.new("1", (20_000, 8)).save(folder / "examples" / "0.png")
    Image.new("1", (8, 8)).save(folder / "examples" / "1.png")
    for index in range(2, 1000):
        shutil.copy(folder / "examples" / "1.png", folder / "examples" / f"{index}.png")
    found = checkpoint.examples(folder)
    assert len(found) == 256 and "0" not in found


@attack("refused")
def test_bytes_that_change_between_the_check_and_the_use(folder, monkeypatch):
    """weights that somebody replaces while they are being loaded"""
    path, weights, read = folder / "model.safetensors", [], tensor_files.verify
    other = (folder / "model.safetensors").read_bytes()[:-4] + b"\1\1\1\1"

    def verify(file, digest, checksum):
        path.write_bytes(other)  # verified already, not yet made into tensors
        read(file, digest, checksum)

    honest = synth.load(folder).state_dict()
    monkeypatch.setattr(tensor_files, "verify", verify)
    weights = synth.load(folder).state_dict()
    assert all(torch.equal(weights[name], honest[name]) for name in honest), "what was verified is what is loaded"
    with pytest.raises(ValueError, match=r"model\.safetensors differs from its checksum"):
        synth.load(folder)
