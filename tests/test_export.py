"""What ``training.export`` writes does in ONNX Runtime what the tasks do in PyTorch; the example runs without that."""

from __future__ import annotations

import hashlib
import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synth import checkpoint, hub
from synth.starts import STARTS
from synth.tasks import TASKS
from synth.tasks.inpainting import fill_hole
from tests.conftest import draw_mask, draw_picture, make_model, needed
from training import export
from training.export import graphs, halves, step
from training.export.description import EXPORTED, describe
from training.export.replay import Exported, Replay

onnx, *_ = (pytest.importorskip(package) for package in export.PACKAGES)
EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "without_pytorch.py"
CASES = [
    ("generation", {"count": 3, "objective": "logit"}),
    ("generation", {"count": 1, "start": "mixture", "objective": "cross-entropy"}),
    ("generation", {"count": 2, "steps": 20, "schedule": "cosine"}),
    ("generation", {"count": 2, "crop": 0.4}),
    ("translation", {"crop": 0.6, "jitter": 0, "smoothing": 0}),
    ("inpainting", {"picture": [draw_picture(), draw_picture().rotate(90)]}),
    ("inpainting", {"outside": "penalty", "objective": "cross-entropy"}),
    ("translation", {"epsilon": 0.2}),
    ("translation", {"focus": 0.8}),
    ("super_resolution", {"class_name": "cat"}),
    ("super_resolution", {"factor": 2, "steps": 20}),
    ("super_resolution", {"consistency": "none"}),
    ("sketch", {"jitter": 0, "smoothing": 0}),
    ("painting", {"feature": 5, "strength": 2}),
    ("painting", {"feature": 5, "outside": "penalty", "steps": 20}),
    ("maximisation", {}),
]


@pytest.fixture(scope="module")
def model():
    return hub.load("cifar10-resnet18-slim-l2-dual")


@pytest.fixture(scope="module")
def folder(model, tmp_path_factory) -> Path:
    """The export of ``model``."""
    folder = tmp_path_factory.mktemp("export")
    export.main([model.name, "--output", str(folder)])
    return folder / "onnx"


@pytest.fixture(scope="module")
def about(folder) -> dict:
    return json.loads((folder / "browser.json").read_text())


@pytest.fixture(scope="module")
def exported(folder) -> Exported:
    return Exported(folder.parent)


@pytest.mark.parametrize("name, more", CASES, ids=[f"{name}-{index}" for index, (name, _) in enumerate(CASES)])
def test_steps_equal_those_of_every_task(name, more, model, exported):
    task = TASKS[name]
    settings = (
        needed(task, steps=4, epsilon=2, step_size=0.1, jitter=3, smoothing=0.5, seed=8, detail=1, resemblance=0) | more
    )
    settings |= {"class_name": "horse"} if "class_name" in settings and "class_name" not in more else {}
    first, *frames = task.frames(model, **settings)
    replay = Replay(exported, model, name, **settings)
    pictures = replay.start
    assert np.array_equal(pictures, first.start)
    for index, frame in enumerate(frames):
        pictures, loss = replay.step(index, pictures)
        np.testing.assert_allclose(loss, frame.loss, atol=1e-3, rtol=1e-3)
        assert np.abs(pictures - frame.pictures.numpy()).max() <= 1e-3
    assert np.abs(pictures - first.start.numpy()).max() > 0.005, "nothing has moved"


def test_one_step_of_no_size_gives_the_start_of_super_resolution(model, exported):
    settings = {"picture": draw_picture(), "class_name": "cat", "steps": 1, "factor": 4, "upsampling": "nearest"}
    first = next(TASKS["super_resolution"].frames(model, **settings))
    small = np.asarray(draw_picture(8, 8).rotate(90), np.float32).transpose(2, 0, 1)[None] / 255
    low = np.kron(small, np.ones((4, 4)))
    result, *_ = exported.step(1, pictures=first.start, center=first.start, epsilon=1e9, low=low, factor=4)
    means = result.reshape(3, 8, 4, 8, 4).mean((2, 4))
    assert np.abs(means - small[0]).max() < 1e-5 and result.min() >= 0 and result.max() <= 1


def test_weights_are_halves_stored_once_and_lose_nothing(model, folder, exported):
    x = 0.3 + 0.4 * torch.rand(10, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    (gradient,) = torch.autograd.grad(model(x.requires_grad_()).diagonal().sum(), x)
    x = x.detach().numpy()
    after, *_ = exported.step(10, pictures=x, center=x, logit_weights=np.eye(10), epsilon=1, step_size=0.1)
    moved = (x - after).reshape(10, -1)
    assert torch.cosine_similarity(torch.from_numpy(moved), gradient.flatten(1)).min() > 0.9999
    for product, (weight, factor) in halves.scales(model, model.folded_copy()).items():
        assert ((weight * factor).ravel() == np.frombuffer(product, np.float32)).mean() > 0.999
    for name in ("step.onnx", "model.onnx"):
        content = onnx.load(folder / name).graph.initializer
        large = [one for one in content if np.prod(one.dims) >= 1024]
        assert large and all(one.data_type == onnx.TensorProto.FLOAT16 for one in large)
        assert sum(np.prod(one.dims) for one in content) < 1.01 * sum(one.numel() for one in model.parameters())


def test_browser_json_describes_the_files_and_the_tasks(model, folder, about):
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    del files["browser.json"]
    assert about["files"] == {
        name: {"bytes": len(one), "sha256": hashlib.sha256(one).hexdigest()} for name, one in files.items()
    }
    shown = [one for task in about["tasks"].values() for one in task["examples"]]
    assert about["tasks"]["sketch"]["examples"] and about["tasks"]["inpainting"]["examples"]
    made = {name: task["made"] for name, task in about["tasks"].items()}  # of a bundled checkpoint
    assert [one["caption"] for one in made["painting"]] == ["before", "after"]
    shown += [one for pictures in made.values() for one in pictures]
    paths = [*about["starts"].values(), *about["masks"].values(), *(one["path"] for one in shown)]
    assert {*paths, "model.onnx", "step.onnx", about["feature_sheet"]["path"]} == files.keys()
    assert [one["index"] for one in about["features"]] == [one.index for one in checkpoint.load_features(model.folder)]
    assert tuple(about["tasks"]) == EXPORTED
    for name, described in about["tasks"].items():
        for preset, values in described["presets"].items():
            complete = json.loads(json.dumps(TASKS[name].defaults(model, preset)))
            assert values.items() <= complete.items()
            assert {one for one, about in described["parameters"].items() if "minimum" in about} <= values.keys()
    assert "tuned" in about["tasks"]["sketch"]["presets"]


def test_presets_that_a_step_cannot_follow_are_left_out(model):
    presets = {"generation": {"far": {"latent_steps": 3}, "near": {"epsilon": 1}, "late": {"momentum": 0.5}}}
    other = make_model(presets=presets | {"super_resolution": {"soft": {"consistency": "soft"}}})
    tasks = describe(other)["tasks"]
    assert list(tasks["generation"]["presets"]) == ["tuned", "near", "paper"]
    assert list(tasks["super_resolution"]["presets"]) == ["tuned", "paper"]
    coarse = {
        "sketch": {"tuned": {"steps": 20, "coarse_steps": 50}},
        "translation": {"tuned": {"coarse_steps": 5}, "near": {}},
    }
    tasks = describe(make_model(presets=coarse))["tasks"]
    assert tasks["sketch"]["presets"]["tuned"]["steps"] == 70 and list(tasks["translation"]["presets"]) == [
        "near",
        "paper",
    ]
    assert describe(other)["starts"] == {} and tasks["generation"]["parameters"]["start"]["options"] == ["noise"]


class Numbers:
    """Random numbers of PyTorch in the manner of numpy."""

    def __init__(self, seed: int):
        self.generator = torch.Generator().manual_seed(seed)

    def standard_normal(self, count: int) -> np.ndarray:
        return torch.randn(count, generator=self.generator).numpy()

    def choice(self, count: int, p: np.ndarray) -> int:
        return torch.multinomial(torch.from_numpy(p), 1, generator=self.generator).item()


@pytest.mark.parametrize("kind", ["gaussian", "mixture"])
def test_the_example_draws_the_same_starts(kind, model, folder):
    example = runpy.run_path(str(EXAMPLE))
    for index, name in enumerate(model.classes[:3]):
        ours = example["Exported"](folder, Numbers(index)).draw_start(name, kind, 0.5)
        generator = torch.Generator().manual_seed(index)
        theirs = STARTS[kind].sample(model.start_tensors, torch.tensor([index]), 32, scale=0.5, generator=generator)
        np.testing.assert_allclose(ours, theirs[0], atol=1e-5)


def test_the_example_fills_holes_alike():
    x, mask = torch.rand(2, 3, 32, 32), (torch.rand(2, 1, 32, 32) > 0.5).float()
    ours = runpy.run_path(str(EXAMPLE))["fill"](x.numpy(), mask.numpy())
    np.testing.assert_allclose(ours, fill_hole(x, mask), atol=1e-4)


def test_the_example_runs_where_there_is_no_pytorch(folder, tmp_path):
    draw_picture().save(tmp_path / "picture.png")
    draw_mask().save(tmp_path / "mask.png")
    code = (
        "import runpy, sys\n"
        "sys.modules.update(dict.fromkeys(['torch', 'torchvision', 'safetensors', 'synth', 'training']))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    inpaint = ["--picture", "picture.png", "--mask", "mask.png"]
    for output, more in (("new.png", ["--count", "2"]), ("same.png", ["--count", "2"]), ("filled.png", inpaint)):
        arguments = [str(EXAMPLE), str(folder), "--class", "cat", "--output", output, *more]
        subprocess.run([sys.executable, "-c", code, *arguments], cwd=tmp_path, check=True, timeout=60)
    images = {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in tmp_path.glob("*.png")}
    assert images["new"].shape == (32, 64, 3) and images["new"].std() > 5
    assert np.array_equal(images["new"], images["same"])
    hole = images["mask"].any(2)
    assert np.array_equal(images["filled"][~hole], images["picture"][~hole])
    assert not np.array_equal(images["filled"][hole], images["picture"][hole])


@pytest.mark.parametrize("architecture, size", [("mobilenet_v2", 32), ("resnet18", 128)])
def test_other_networks_export(architecture, size, monkeypatch):
    """With the stems of small and of large pictures; what differs from PyTorch is refused."""
    monkeypatch.setattr(step, "same_mean", lambda x, low, factor: x + 0 * low * factor)  # the same for all networks
    model = make_model(architecture, size)
    for weight in model.parameters():
        weight.data = weight.data.half().float()
    assert len(graphs.step(model)) < 2.5 * sum(weight.numel() for weight in model.parameters()) + 200_000


def test_variants_are_spelled_out():
    model = make_model("resnet18+convstem+blur+silu", 128).folded_copy()
    *values, _inside, _epsilon, _step_size, _low, _factor = graphs.examples(model).values()
    graph = step.spelled(step.Gradient(model), values)
    assert {str(node.target) for node in graph.graph.nodes}.isdisjoint(
        f"aten.{name}_backward.default" for name in ("silu", "convolution", "max_pool2d_with_indices")
    )
    for ours, theirs in zip(graph(*values), step.Gradient(model)(*values), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_a_graph_that_computes_something_else_is_refused(folder):
    content, pictures = (folder / "model.onnx").read_bytes(), torch.rand(2, 3, 32, 32)
    with pytest.raises(ValueError, match=r"^checkpoint: expected model.onnx within 0.001 of PyTorch, got .* apart$"):
        graphs.check("model.onnx", content, lambda x: torch.zeros(2, 10), {"pictures": pictures})
