"""Pictures of the features: they drive them up, name the classes that they serve, and can be searched."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from PIL import Image

from synth import checkpoint, pictures
from tests.conftest import save_model
from training import features


@pytest.fixture(scope="module")
def drawn(model):
    return features.draw(model)


@pytest.fixture
def folder(drawn, tmp_path):
    checkpoint.add(tmp_path, features=drawn[1])
    return tmp_path


def test_each_picture_drives_its_own_feature_up(drawn, model):
    tensors, gallery = drawn
    with torch.no_grad():
        values = model.representation(tensors)
    own = values.diagonal()
    assert [feature.activation for feature in gallery] == pytest.approx(
        [own[feature.index].item() for feature in gallery], abs=0.01
    )
    others = (values.sum(0) - own) / (len(gallery) - 1)
    assert (own > others).float().mean() > 0.9


def test_the_classes_are_those_that_the_last_layer_gives_weight(drawn, model):
    for feature in drawn[1]:
        weights = dict(zip(model.classes, model.head.weight[:, feature.index].tolist(), strict=True))
        best = max(weights, key=weights.get)
        assert next(iter(feature.classes), None) == (best if weights[best] > 0 else None)
        assert all(weights[name] > 0 for name in feature.classes)
        assert list(feature.classes.values()) == sorted(feature.classes.values(), reverse=True)


def test_a_saved_gallery_comes_back_in_order_of_use(folder, drawn):
    tensors, saved = drawn
    gallery = checkpoint.load_features(folder)
    assert len(gallery) == len(tensors) and gallery.settings == features.SETTINGS
    assert [feature.lifts for feature in gallery] == sorted(feature.lifts for feature in saved)[::-1]
    for feature in gallery:
        shown = pictures.to_tensor([feature.picture], tensors.shape[-1])[0]
        assert (shown - tensors[feature.index]).abs().mean() < 0.06  # WebP, with half the resolution in colours
    assert [(f.index, f.classes, f.activation) for f in gallery] == [(f.index, f.classes, f.activation) for f in saved]


def test_files_of_older_checkpoints_are_read(folder):
    content = json.loads((folder / "features.json").read_text())
    older = {"image_size": content["image_size"], "made": content["settings"], "units": content["features"]}
    expected = checkpoint.load_features(folder)
    with Image.open(folder / "features.webp") as page:
        page.save(folder / "units.png")
    (folder / "features.webp").unlink()
    (folder / "features.json").unlink()
    (folder / "units.json").write_text(json.dumps(older))
    gallery = checkpoint.load_features(folder)
    assert [one.caption for one in gallery] == [one.caption for one in expected]
    assert gallery[0].picture.tobytes() == expected[0].picture.tobytes() and gallery.settings == expected.settings


def test_search(folder):
    gallery = checkpoint.load_features(folder)
    assert gallery.search("") == gallery
    assert [feature.index for feature in gallery.search(" 7 ")] == [7]
    squares = gallery.search("SQ")
    assert squares and squares == [feature for feature in gallery if "square" in feature.classes]
    assert gallery.search("unicorn") == gallery.search("99999") == []


def test_a_checkpoint_without_pictures_of_its_features_has_none(tmp_path):
    assert checkpoint.load_features(tmp_path) == []


@pytest.mark.parametrize("damage", ["json", "rows", "picture"])
def test_damaged_files_are_one_sentence(damage, folder):
    content = json.loads((folder / "features.json").read_text())
    if damage == "json":
        (folder / "features.json").write_text("{")
    elif damage == "rows":
        (folder / "features.json").write_text(json.dumps(content | {"features": [{}]}))
    else:
        (folder / "features.webp").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"^checkpoint: expected readable features\.webp and features\.json, got "):
        checkpoint.load_features(folder)


def test_the_command_writes_beside_the_weights(tmp_path, monkeypatch, capsys):
    save_model(tmp_path / "tiny", info={"name": "tiny"})
    monkeypatch.setitem(features.SETTINGS, "steps", 1)
    features.main([str(tmp_path / "tiny")])
    gallery = checkpoint.load_features(tmp_path / "tiny")
    assert len(gallery) == 64 and gallery.settings["command"] == f"training.features {tmp_path / 'tiny'}"
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(SystemExit):
        features.main([str(tmp_path / "tiny")])
    assert "checkpoint: expected one of" in capsys.readouterr().err
