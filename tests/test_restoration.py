"""Figures of restored pictures: definitions, baselines by other means, and the task's own physics."""

import json
import math
from urllib.error import URLError

import pytest
import torch
import torch.nn.functional as F
import torchvision
from accelerate import Accelerator
from PIL import Image
from torch import Tensor

import synth
from synth import metrics
from synth.pictures import to_images
from tests.conftest import CLASSES
from tests.test_samples import make_judge, make_pictures
from training.data import Pictures
from training.evaluation import restoration

SHORT = {"steps": 3}


@pytest.fixture
def accelerator():
    return Accelerator(cpu=True)


@pytest.fixture(scope="module")
def data() -> Pictures:
    """Smooth pictures, sorted by class."""
    noise = make_pictures(8).pictures.float() / 255
    smooth = F.avg_pool2d(F.pad(noise, [4] * 4, mode="reflect"), 9, stride=1)
    levels = (smooth * 255).round().byte()
    return Pictures(levels, torch.tensor([0, 0, 0, 1, 1, 2, 2, 3]), CLASSES, [])


def shrunk(picture: Tensor, factor: int) -> Tensor:
    """(3, S, S) to (1, 3, S / f, S / f): block means, rounded as a file would hold them."""
    return (F.avg_pool2d(picture[None], factor) * 255).round() / 255


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_super_resolution_keeps_its_input_and_its_baseline_is_bicubic(model, data, accelerator, factor):
    result = restoration.restore(
        "super_resolution", model, data, accelerator=accelerator, batch=2, factor=factor, **SHORT
    )
    for ours, baseline, truth in zip(result.ours, result.baseline, data[:][0], strict=True):
        low = shrunk(truth, factor)
        expected = F.interpolate(low, size=(32, 32), mode="bicubic", align_corners=False).clamp(0, 1)
        assert (baseline - expected).abs().max() < 0.03  # a block mean may round to the next level
        assert (F.avg_pool2d(ours, factor) - low[0]).abs().max() < 0.006
    assert result.settings["factor"] == factor and not {"picture", "class_name", "seed"} & set(result.settings)
    assert result.holes is None and (result.ours != result.baseline).any()


def test_pillow_and_the_baseline_agree(model, data, accelerator):
    result = restoration.restore("super_resolution", model, data, accelerator=accelerator, factor=4, **SHORT)
    for image, baseline in zip(to_images(data[:][0]), to_images(result.baseline), strict=True):
        other = image.resize((8, 8), Image.Resampling.BOX).resize((32, 32), Image.Resampling.BICUBIC)
        # Pillow's kernel has a = -0.5 where torch has -0.75.
        difference = torch.tensor(list(other.tobytes())).sub(torch.tensor(list(baseline.tobytes()))).abs()
        assert difference.float().mean() < 2


@pytest.mark.parametrize("name, more", [("super_resolution", {"factor": 4}), ("inpainting", {})])
def test_a_picture_comes_out_as_if_restored_alone(model, data, accelerator, name, more):
    result = restoration.restore(name, model, data, accelerator=accelerator, batch=3, told=True, **more, **SHORT)
    for index in range(8):
        settings = {"picture": data[index : index + 1][0], "class_name": int(data.labels[index]), "seed": index}
        settings |= {} if result.holes is None else {"mask": result.holes[index]}
        frame = synth.TASKS[name](model, **settings, **more, **SHORT)
        assert (result.ours[index] - frame.pictures[0]).abs().max() < 1e-3
        assert (result.starts[index] - frame.start[0]).abs().max() < 1e-6


def test_inpainting_changes_the_hole_alone_and_its_baseline_is_as_bright_as_the_rim(model, data, accelerator):
    result = restoration.restore("inpainting", model, data, accelerator=accelerator, batch=2, **SHORT)
    truth, outside = data[:][0], (1 - result.holes).expand(-1, 3, -1, -1) > 0
    assert torch.equal(result.ours[outside], truth[outside]) and torch.equal(result.baseline[outside], truth[outside])
    assert result.holes.sum((1, 2, 3)).tolist() == [144] * 8
    assert torch.equal(result.holes[0], result.holes[1]) and not torch.equal(result.holes[0], result.holes[2])
    for picture, baseline, hole in zip(truth, result.baseline, result.holes[:, 0] > 0, strict=True):
        grown = F.max_pool2d(hole.float()[None], 3, stride=1, padding=1)[0] > 0
        rim = picture[:, grown & ~hole]
        assert (baseline[:, hole] <= rim.amax(1, keepdim=True) + 1e-4).all()
        assert (baseline[:, hole] >= rim.amin(1, keepdim=True) - 1e-4).all()


def test_figures_follow_their_definitions(data):
    truth = data[:][0]
    pictures, holes = truth.clone(), torch.zeros(8, 1, 32, 32)
    holes[..., 4:12, 4:12] = 1
    pictures[..., 4:12, 4:12] += 0.1
    figures = restoration.reference_figures(pictures, truth, holes)
    assert figures["psnr_hole"]["value"] == pytest.approx(20, abs=1e-3)
    assert figures["psnr"]["value"] == pytest.approx(-10 * math.log10(0.01 * 64 / 1024), abs=1e-3)
    assert 0 < figures["ssim"]["value"] < 1 and figures["ssim"]["count"] == 8


def test_the_truth_itself_has_finite_figures(data):
    figures = restoration.reference_figures(data[:][0], data[:][0])
    assert figures["psnr"]["value"] == metrics.BEST_PSNR and figures["ssim"]["value"] == pytest.approx(1)
    json.dumps(figures, allow_nan=False)


@pytest.mark.parametrize("count", [1, 8])
def test_lpips_is_nothing_for_the_truth(data, count, monkeypatch):
    build = torchvision.models.alexnet
    monkeypatch.setattr(torchvision.models, "alexnet", lambda weights: build(weights=None))  # no download
    truth = data[:count][0]
    torch.manual_seed(0)
    assert restoration.reference_figures(truth, truth, lpips=True)["lpips"]["value"] == 0
    figures = restoration.reference_figures(1 - truth, truth, lpips=True)["lpips"]
    assert figures["value"] > 0 and figures["count"] == count


def test_the_report_sets_ours_beside_starts_and_baselines(model, accelerator, monkeypatch):
    def unreachable(*_):
        raise URLError("no network")

    monkeypatch.setattr(restoration, "_lpips", unreachable)
    monkeypatch.setattr(model, "presets", {name: {"tuned": SHORT} for name in ("super_resolution", "inpainting")})
    report = restoration.Restoration().measure(
        model, make_pictures(12), judge=make_judge(), count=6, accelerator=accelerator
    )
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["count"] == 6 and "no network" in report["absent"]["lpips"]
    assert set(report["super_resolution"]) == {"2", "4", "8"} and report["truth"]["judge_accuracy"]["count"] == 6
    for entry, baseline in [(report["super_resolution"]["8"], "bicubic"), (report["inpainting"], "smooth fill")]:
        assert entry["settings"]["steps"] == 3 and entry["seconds_per_picture"] > 0
        for name in ("ours", "ours, told", "all detail", "all detail, told", "starts", baseline):
            assert {"psnr", "ssim", "judge_accuracy", "apart"} <= set(entry[name]) and "lpips" not in entry[name]
        curve = {one["detail"]: {key: one[key] for key in entry["starts"]} for one in entry["curve"]}
        assert list(curve) == [0, 0.25, 0.5, 0.75, 1]
        assert curve[0] == entry["starts"] and curve[1] == entry["all detail"]
    assert "psnr_hole" in report["inpainting"]["ours"]
    easy, hard = (report["super_resolution"][factor]["bicubic"]["psnr"]["value"] for factor in ("2", "8"))
    assert easy > hard


@pytest.mark.parametrize(
    "change, words",
    [
        ({"judge": make_judge(classes=["a", "b"])}, "judge: expected the classes"),
        ({"data": make_pictures(20, classes=["a", "b"])}, "data: expected the classes"),
        ({"count": 0}, "count: expected at least 1"),
        ({"batch": 0}, "batch: expected at least 1"),
    ],
)
def test_what_does_not_fit_is_refused_with_one_sentence(model, accelerator, change, words):
    arguments = {"data": make_pictures(8), "judge": None} | change
    with pytest.raises(ValueError, match=f"^{words}"):
        restoration.Restoration().measure(model, accelerator=accelerator, lpips=False, **arguments)
