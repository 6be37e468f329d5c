"""Pictures of the units: they drive them up, name the classes that they serve, and can be searched."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from synth import features, pictures, starts
from synth.features import FeatureGallery
from tests.conftest import make_model, make_start
from training import features as training_features


@pytest.fixture(scope="module")
def drawn(model):
    return training_features.draw(model)


@pytest.fixture
def folder(drawn, tmp_path):
    made, rows = drawn
    features.save(tmp_path, pictures.to_images(made), rows, training_features.SETTINGS)
    return tmp_path


def test_each_picture_drives_its_own_unit_up(drawn, model):
    made, rows = drawn
    with torch.no_grad():
        values = model.representation(made)
    own = values.diagonal()
    assert [row["activation"] for row in rows] == pytest.approx(own.tolist(), abs=0.01)
    others = (values.sum(0) - own) / (len(rows) - 1)
    assert (own > others).float().mean() > 0.9


def test_the_classes_are_those_that_the_last_layer_gives_weight(drawn, model):
    for index, row in enumerate(drawn[1]):
        weights = dict(zip(model.classes, model.head.weight[:, index].tolist(), strict=True))
        best = max(weights, key=weights.get)
        assert next(iter(row["classes"]), None) == (best if weights[best] > 0 else None)
        assert all(weights[name] > 0 for name in row["classes"])
        assert list(row["classes"].values()) == sorted(row["classes"].values(), reverse=True)


def test_what_is_saved_comes_back_in_order_of_use(folder, drawn):
    found = FeatureGallery.load(folder)
    assert len(found) == len(drawn[0]) and [unit.lifts for unit in found] == sorted(u.lifts for u in found)[::-1]
    for unit in found:
        assert unit.picture.tobytes() == pictures.to_images(drawn[0][unit.index][None])[0].tobytes()
        assert unit.classes == drawn[1][unit.index]["classes"]


def test_search(folder):
    found = FeatureGallery.load(folder)
    assert found.search("") == found
    assert [unit.index for unit in found.search(" 7 ")] == [7]
    squares = found.search("SQ")
    assert squares and squares == [unit for unit in found if "square" in unit.classes]
    assert found.search("unicorn") == found.search("99999") == []


def test_a_checkpoint_without_pictures_of_its_units_has_none(tmp_path):
    assert FeatureGallery.load(tmp_path) == []


@pytest.mark.parametrize("damage", ["json", "rows", "picture"])
def test_damaged_files_are_told_in_one_sentence(damage, folder):
    facts = json.loads((folder / features.FACTS).read_text())
    if damage == "json":
        (folder / features.FACTS).write_text("{")
    elif damage == "rows":
        (folder / features.FACTS).write_text(json.dumps(facts | {"units": [{}]}))
    else:
        (folder / features.SHEET).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"^checkpoint: expected readable units\.png and units\.json in "):
        FeatureGallery.load(folder)


def test_the_command_writes_beside_the_weights(tmp_path, monkeypatch, capsys):
    make_model(info={"name": "tiny"}).save_pretrained(tmp_path / "tiny")
    starts.save(make_start(), tmp_path / "tiny" / "start.safetensors")
    monkeypatch.setitem(training_features.SETTINGS, "steps", 1)
    training_features.main([str(tmp_path / "tiny")])
    assert len(FeatureGallery.load(tmp_path / "tiny")) == 64
    shutil.rmtree(tmp_path / "tiny")
    with pytest.raises(SystemExit):
        training_features.main([str(tmp_path / "tiny")])
    assert "checkpoint: expected one of" in capsys.readouterr().err
