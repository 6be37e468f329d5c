"""Model cards: what each kind says, and that every snippet on them runs."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import RepoCard
from PIL import Image
from torchvision.transforms.functional import to_tensor

import synth
from synth import checkpoint, hub
from synth.backbones import SMALL
from tests.conftest import draw_picture, make_model
from tests.hub_rules import metadata_errors
from training import snippets
from training.card import card, kind_of

EVERY_CARD = pytest.mark.parametrize("name", hub.bundled())


def text_of(name: str) -> str:
    return (hub.folder(name) / checkpoint.CARD).read_text()


def python(text: str) -> list[str]:
    return re.findall(r"```python\n(.*?)\n```", text, re.DOTALL)


def metadata(text: str) -> dict:
    return RepoCard(text).data.to_dict()


@EVERY_CARD
def test_every_snippet_runs_and_plain_pytorch_gives_the_same_logits(name, tmp_path, monkeypatch, capsys):
    for file in ("config.json", "model.safetensors"):
        (tmp_path / file).symlink_to(hub.folder(name) / file)
    draw_picture(90, 70).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    blocks = python(text_of(name))
    assert len(blocks) >= 2
    for block in blocks:
        exec(block.replace("count=8", "count=1, steps=2"), scope := {})
    model = synth.load(name)
    size = model.image_size
    x = to_tensor(Image.open("picture.png").convert("RGB").resize((size, size)))[None]
    alone = "+" not in model.architecture  # torchvision has no such network
    if alone:
        torch.testing.assert_close(scope["logits"], model(x).detach(), atol=1e-4, rtol=1e-4)
    assert ("synth" not in blocks[-1] and "huggingface" not in blocks[-1]) == alone
    seen = [line.split(" 0.")[0].split(" 1.")[0] for line in capsys.readouterr().out.splitlines()]
    assert seen == [model.classes[int(model(x).argmax())]] * (2 if alone else 1)


OTHERS = [("resnet18", 64, 0.25), ("resnet50", 32, 0.25), ("shufflenet_v2_x1_0", SMALL, 1)]
OTHERS += [("mobilenet_v2", 32, 1), ("mobilenet_v2", 64, 0.5), ("mobilenet_v2", SMALL, 1)]


@pytest.mark.parametrize("architecture, size, width", OTHERS)
def test_plain_pytorch_of_other_networks(architecture, size, width, tmp_path, monkeypatch):
    model = make_model(architecture, size, width, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.25])
    checkpoint.save(tmp_path, model)
    draw_picture(size, size).save(tmp_path / "picture.png")
    monkeypatch.chdir(tmp_path)
    exec(snippets.plain(architecture, size, width), scope := {})
    x = to_tensor(draw_picture(size, size))[None]
    torch.testing.assert_close(scope["logits"], synth.load(tmp_path)(x).detach(), atol=1e-3, rtol=1e-3)


DATA = {
    "cifar10": "CIFAR-10",
    "tiny64": "58 of Tiny-ImageNet's 200 classes",
    "imagenet20": "Imagenette and ImageWoof",
}


@EVERY_CARD
def test_a_card_says_what_the_checkpoint_is(name):
    text, folder = text_of(name), hub.folder(name)
    fields, config = metadata(text), json.loads((folder / "config.json").read_text())
    kind = kind_of(folder, config)
    assert kind == ("judge" if "judge" in name else "standard" if "standard" in name else "robust")
    assert ("adversarial-robustness" in fields["tags"]) == (kind == "robust")
    assert ("autoencoder" in fields["tags"]) == (folder / checkpoint.DECODER).exists() == ("2106.06927" in text)
    assert ("1906.09453" in text) == ("synth.generation" in text) == (kind != "judge")
    assert ("2510.13872" in text) == name.endswith("-dual")
    assert not name.endswith("-dual") or f"after `{name.removesuffix('-dual')}`" in text
    assert text.count("@misc{") == len(set(re.findall(r"arxiv.org/abs/([\d.]+)\)", text)))
    assert "base_model" not in fields
    data = {result["dataset"]["name"] for result in fields["model-index"][0]["results"]}
    assert data == {DATA[name.partition("-")[0]]}


@EVERY_CARD
def test_pictures_of_a_card_are_published(name):
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text_of(name))
    assert set(pictures) <= checkpoint.paths(hub.folder(name)).keys()
    assert bool(pictures) == (hub.folder(name) / checkpoint.SAMPLES).exists()


def test_a_published_card_names_its_owner_and_what_it_began_with():
    name, base = "cifar10-resnet18-slim-l2-dual", "cifar10-resnet18-slim-l2"
    theirs, ours = card(hub.folder(name), repo=f"ann/{name}").splitlines(), text_of(name).splitlines()
    new = [line for line in theirs if line not in ours]
    assert set(new) == {f"base_model: ann/{base}", "base_model_relation: finetune", f'model = synth.load("ann/{name}")'}
    assert len(theirs) == len(ours) + 2


def test_links_are_there_if_they_are_known():
    folder = hub.folder("cifar10-judge")
    text = card(folder, code="https://code.example/synth", app="ann/app")
    assert "```bash\npip install git+https://code.example/synth\n```" in text
    assert "[ann/app](/spaces/ann/app)" in text
    assert "git+" not in card(folder) and "/spaces/" not in card(folder)


def test_own_pictures_are_called_so(tmp_path):
    folder = Path(shutil.copytree(hub.folder("cifar10-judge"), tmp_path / "judge"))
    config = json.loads((folder / "config.json").read_text())
    config["info"]["data"] = ""
    (folder / "config.json").write_text(json.dumps(config))
    text = card(folder)
    assert "10 classes of its trainer's own pictures." in text and metadata_errors("model", text) == []


@EVERY_CARD
def test_the_hub_takes_every_card(name):
    assert metadata_errors("model", text_of(name)) == metadata_errors("model", card(hub.folder(name), repo="a/b")) == []


@pytest.mark.parametrize("missing", ["name", "data", "recipe"])
def test_a_card_of_a_checkpoint_that_says_too_little_is_one_sentence(missing, tmp_path):
    folder = Path(shutil.copytree(hub.folder("cifar10-judge"), tmp_path / "judge"))
    config = json.loads((folder / "config.json").read_text())
    del config["info"][missing]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=rf"^info: expected name, data and recipe in [^\n]+ got none of '{missing}'$"):
        card(folder)
