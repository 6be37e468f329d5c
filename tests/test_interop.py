"""Other tools take a bundled checkpoint as it is: the examples of docs/using.md run, and give what they should."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from synth import checkpoint
from synth.prior import class_prior
from tests.conftest import make_model, save_model
from training import export

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "using.md").read_text()
FIRST, *EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.partition("\n## With other tools\n")[2], re.DOTALL)


@pytest.fixture
def names() -> dict:
    """What the first example defines: the model, pictures x and their classes y."""
    names: dict = {}
    exec(FIRST, names)
    assert accuracy(names, names["x"]) > 0.8
    return names


@torch.no_grad()
def accuracy(names: dict, pictures: torch.Tensor) -> float:
    return (names["model"](pictures).argmax(1) == names["y"][: len(pictures)]).float().mean().item()


def run(example: str, names: dict, **changes: str) -> dict:
    """What the example that has the word ``example`` in it defines, with some of its values changed."""
    (code,) = [one for one in EXAMPLES if example in one]
    for name, value in changes.items():
        code, count = re.subn(rf"\b{name}=[\w.]+", f"{name}={value}", code)
        assert count == 1
    exec(code, names)
    return names


def assert_fooled_within(names: dict, epsilon: float) -> None:
    moved = names["moved"]
    x = names["x"][: len(moved)]
    assert (moved - x).flatten(1).norm(dim=1).max() <= epsilon * 1.001 and 0 <= moved.min() <= moved.max() <= 1
    assert accuracy(names, moved) <= 0.5


def test_traced_and_exported_graphs_give_equal_logits(names):
    run("torch.fx", names)
    model, x = names["model"], names["x"]
    with torch.no_grad():
        for picture in (x, x[:3], 2 * x - 0.5):
            assert torch.equal(names["graph"](picture), model(picture))
            assert torch.equal(names["program"].module()(picture), model(picture))


def test_captum_attributes_to_places(names):
    pytest.importorskip("captum")
    attribution = run("captum", names)["attribution"]
    assert attribution.shape == (10, 1, 4, 4) and (attribution.flatten(1).abs().amax(1) > 0).all()


def test_lucent_reads_layers_and_synthesis_goes_on(names):
    pytest.importorskip("lucent")
    run("lucent", names)
    model = names["model"]
    assert torch.equal(names["layer"]("backbone_layer3"), model.maps(names["x"], 3)[-1])
    assert names["synth"].generation(model, class_name="cat", count=1, steps=1).pictures.shape == (1, 3, 32, 32)


def test_foolbox_attacks(names):
    pytest.importorskip("foolbox")
    assert run("foolbox", names)["fooled"].float().mean() >= 0.5
    assert_fooled_within(names, 3)


def test_torchattacks_attacks(names):
    pytest.importorskip("torchattacks")
    run("torchattacks", names)
    assert_fooled_within(names, 3)


def test_autoattack_attacks(names):
    pytest.importorskip("pyautoattack")
    run("pyautoattack", names)
    assert_fooled_within(names, 3)


def test_robustbench_measures(names, monkeypatch):
    """On the pictures above in place of its data set, which it would download."""
    if "pkg_resources" not in sys.modules:  # imported for ImageNet's lists alone, and gone from setuptools
        monkeypatch.setitem(sys.modules, "pkg_resources", ModuleType("pkg_resources"))
    module = pytest.importorskip("robustbench.eval")
    if not hasattr(module, "load_clean_dataset"):
        pytest.skip("torchattacks 3.5.1 has replaced files of RobustBench by its own")
    monkeypatch.setattr(module, "load_clean_dataset", lambda *_: (names["x"][3:5], names["y"][3:5]))
    run("robustbench", names, eps="20")  # so large that the first of its four attacks is enough
    assert (names["clean"], names["robust"]) == (0.5, 0), "the cat is taken for another"


def test_deepinv_restores_with_the_class_prior(names):
    pytest.importorskip("deepinv")
    torch.manual_seed(0)
    run("deepinv", names)
    model, horse, restored, y = names["model"], names["horse"], names["restored"], names["physics"](names["x"][7:8])
    assert restored.shape == (1, 3, 32, 32) and not restored.requires_grad
    with torch.no_grad():
        before, after = (model(x).softmax(1)[0, horse] for x in (y, restored))
    assert after > before
    assert (names["physics"](restored) - y).abs().max() < 0.2


def test_the_class_prior_has_a_value_and_a_gradient_for_each_picture():
    pytest.importorskip("deepinv")
    model, labels = make_model(), torch.tensor([2, 0, 1])
    x = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    prior = class_prior(model, labels)
    known = torch.nn.functional.cross_entropy(model(x.requires_grad_()), labels, reduction="none")
    torch.testing.assert_close(prior(x), known, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(prior.grad(x), torch.autograd.grad(known.sum(), x)[0], atol=1e-4, rtol=1e-3)
    alone = class_prior(model, labels[:1])
    torch.testing.assert_close(alone(x), class_prior(model, labels[:1].expand(3))(x))


def test_without_deepinv_the_prior_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "deepinv", None)
    monkeypatch.setitem(sys.modules, "deepinv.optim", None)
    with pytest.raises(ValueError, match=r"^prior: expected deepinv to be installed [^\n]+$"):
        class_prior(make_model(), torch.tensor([0]))


def test_onnx_runtime_gives_the_logits(names, tmp_path):
    for package in export.PACKAGES:
        pytest.importorskip(package)
    model, x = names["model"], names["x"]
    from training.export import graphs

    model.folder = tmp_path
    (tmp_path / "onnx").mkdir()
    (tmp_path / "onnx" / "model.onnx").write_bytes(graphs.logits(model))
    for pictures in (x, x[:1], 2 * x - 0.5):
        names["x"] = pictures
        logits = torch.from_numpy(run("onnxruntime", names)["logits"])
        torch.testing.assert_close(logits, model(pictures).detach(), atol=1e-4, rtol=1e-4)
    about = names["session"].get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == model.classes and json.loads(about["image_size"]) == 32


def test_without_the_packages_nothing_is_exported(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"^packages: expected onnx, .*got no.* onnxscript$"):
        export.export(make_model(), tmp_path)
    assert not any(tmp_path.iterdir())


def test_an_export_is_published_but_not_downloaded_and_ends_with_its_weights(tmp_path):
    save_model(tmp_path)
    path = tmp_path / "onnx" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"")
    assert "onnx/model.onnx" in checkpoint.paths(tmp_path)
    assert "onnx/model.onnx" not in checkpoint.paths(tmp_path, checkpoint.DOWNLOADED)
    save_model(tmp_path)
    assert not path.exists()
