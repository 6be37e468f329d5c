"""Figures of quality: closed forms and references; when an original is known, and what the baselines are."""

import math

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torchmetrics.functional.image import peak_signal_noise_ratio

import synth
from synth import metrics, pictures
from synth.tasks import TASKS
from tests.conftest import draw_mask, draw_picture, make_model, needed


def tensor(image: Image.Image) -> torch.Tensor:
    return pictures.to_tensor(image, image.width)


def make_pair(count: int = 3):
    random = torch.Generator().manual_seed(0)
    truth = torch.rand(count, 3, 32, 32, generator=random)
    return (truth + 0.1 * torch.randn(truth.shape, generator=random)).clamp(0, 1), truth


def test_equal_pictures_are_perfect():
    _, truth = make_pair()
    assert metrics.psnr(truth, truth).tolist() == [metrics.BEST_PSNR] * 3
    assert metrics.ssim(truth, truth).tolist() == pytest.approx([1] * 3)


@pytest.mark.parametrize("shift", [0.5, 0.1, 0.01])
def test_psnr_of_a_constant_error(shift):
    truth = torch.full((2, 3, 8, 8), 0.3)
    assert metrics.psnr(truth + shift, truth).tolist() == pytest.approx([-20 * math.log10(shift)] * 2, abs=1e-3)


def test_ssim_of_flat_pictures():
    """Without variance only the comparison of means is left: (2 a b + c) / (a^2 + b^2 + c), c = 0.01^2."""
    a, b, c = 0.3, 0.5, 1e-4
    similarity = metrics.ssim(torch.full((1, 3, 16, 16), a), torch.full((1, 3, 16, 16), b))
    assert similarity.tolist() == pytest.approx([(2 * a * b + c) / (a * a + b * b + c)], abs=1e-4)


def test_psnr_agrees_with_torchmetrics():
    x, truth = make_pair()
    expected = peak_signal_noise_ratio(x, truth, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert torch.allclose(metrics.psnr(x, truth), expected, atol=1e-4)


def test_figures_of_a_picture_are_those_that_it_has_alone():
    x, truth = make_pair()
    together = metrics.reference_metrics(x, truth, torch.ones(1, 1, 32, 32))
    assert set(together) == {"psnr", "psnr_hole", "ssim"}
    for index in range(3):
        alone = metrics.reference_metrics(x[[index]], truth[[index]], torch.ones(1, 1, 32, 32))
        assert all(alone[key].shape == (1,) for key in alone)
        assert all(abs(alone[key] - together[key][index]) < 1e-4 for key in alone)


def test_holes_of_any_size_count_alone():
    _, truth = make_pair(2)
    holes = torch.zeros(2, 1, 32, 32)
    holes[0, :, :4, :4], holes[1, :, :16, 8:] = 1, 1
    x = truth + torch.where(holes > 0, 0.1, 0.3)
    assert metrics.psnr(x, truth, holes).tolist() == pytest.approx([20, 20], abs=1e-3)


@pytest.mark.parametrize("size", [(32, 32), (64, 64), (448, 448), (90, 64)])
@pytest.mark.parametrize("factor", ["2", "4"])
def test_super_resolution_of_a_large_picture_has_its_original(model, size, factor):
    original = draw_picture(*size)
    frame = synth.super_resolution(model, picture=original, factor=factor, steps=3)
    rows = TASKS[frame.record.task].compare(frame, original)
    truth = pictures.to_tensor(original, 32)
    low = (F.avg_pool2d(truth, int(factor)) * 255).round() / 255
    plain = F.interpolate(low, size=(32, 32), mode="bicubic").clamp(0, 1)
    assert set(rows) == {"ours", "bicubic"} and set(rows["ours"]) == {"psnr", "ssim"}
    assert rows["ours"]["psnr"] == pytest.approx(metrics.psnr(frame.pictures, truth).item())
    assert rows["ours"]["ssim"] == pytest.approx(metrics.ssim(frame.pictures, truth).item())
    assert rows["bicubic"]["psnr"] == pytest.approx(metrics.psnr(plain, truth).item(), abs=0.3)  # rounded twice


def test_a_result_that_is_the_original_is_perfect(model):
    original = Image.new("RGB", (64, 64), (90, 120, 30))  # flat, so that filling loses nothing
    frame = next(synth.inpainting.frames(model, picture=original, class_name=0))
    assert TASKS[frame.record.task].compare(frame, original)["smooth fill"]["psnr"] > 80
    assert TASKS[frame.record.task].compare(frame, original)["ours"]["psnr"] > 80


@pytest.mark.parametrize("enlarged", [1, 7], ids=["as it is", "pixel by pixel"])
@pytest.mark.parametrize("size", [(8, 8), (24, 24), (64, 31)])
def test_a_small_picture_is_no_original(model, size, enlarged):
    original = draw_picture(*size) if enlarged == 1 else draw_picture(8, 8).resize((8 * size[0], 8 * size[0]), 0)
    assert synth.super_resolution.compare(synth.super_resolution(model, picture=original, steps=2), original) is None


def test_a_size_that_the_factor_does_not_divide():
    original, model = draw_picture(64, 64), make_model(image_size=30)
    frame = synth.super_resolution(model, picture=original, factor="4", steps=2, class_name=0)
    assert frame.pictures.shape[-1] == 28
    rows = TASKS[frame.record.task].compare(frame, original)
    assert rows["ours"]["psnr"] == pytest.approx(
        metrics.psnr(frame.pictures, pictures.to_tensor(original, 28)).item(), abs=1e-3
    )


@pytest.mark.parametrize("outside", ["exact", "penalty"])
@pytest.mark.parametrize("mask", [draw_mask(), None], ids=["mask", "random square"])
def test_inpainting_has_its_original(model, picture, mask, outside):
    frame = synth.inpainting(model, picture=picture, mask=mask, steps=3, seed=5, outside=outside)
    rows = TASKS[frame.record.task].compare(frame, picture)
    truth = tensor(picture)
    plain = next(synth.inpainting.frames(model, picture=picture, mask=mask, seed=5)).pictures
    assert set(rows) == {"ours", "smooth fill"} and set(rows["ours"]) == {"psnr", "psnr_hole", "ssim"}
    assert rows["ours"]["psnr"] == pytest.approx(metrics.psnr(frame.pictures, truth).item(), abs=1e-3)
    assert rows["ours"]["ssim"] == pytest.approx(metrics.ssim(frame.pictures, truth).item(), abs=1e-4)
    assert rows["smooth fill"]["psnr"] == pytest.approx(metrics.psnr(plain, truth).item(), abs=1e-3)
    assert rows["smooth fill"]["ssim"] == pytest.approx(metrics.ssim(plain, truth).item(), abs=1e-4)
    assert rows["smooth fill"]["psnr_hole"] < rows["smooth fill"]["psnr"], "the rest is exact"


KNOWN = ("super_resolution", "inpainting", "reconstruction", "denoising")


def test_reconstructions_and_cleaned_pictures_are_compared_with_the_picture(model, picture):
    truth = pictures.to_tensor(picture, 32)
    frame = synth.reconstruction(model, picture=picture, steps=2)
    rows = TASKS[frame.record.task].compare(frame, picture)
    assert list(rows) == list(frame.captions) == ["rebuilt by a decoder", "rebuilt step by step"]
    assert rows["rebuilt step by step"]["psnr"] == pytest.approx(metrics.psnr(frame.pictures[1:], truth).item())
    frame = synth.denoising(model, picture=picture, sigma=50)
    rows = TASKS[frame.record.task].compare(frame, picture)
    assert rows["noisy"]["psnr"] == pytest.approx(metrics.psnr(frame.start, truth).item())
    assert synth.denoising.compare(synth.denoising(model, picture=picture, sigma=0), picture) is None


@pytest.mark.parametrize("name", [name for name in TASKS if name not in KNOWN])
def test_other_tasks_have_no_original(model, name):
    frame = next(TASKS[name].frames(model, **needed(TASKS[name])))
    assert TASKS[frame.record.task].compare(frame, draw_picture()) is None


def test_what_is_no_picture_is_refused(model, picture):
    frame = synth.super_resolution(model, picture=picture, steps=1)
    with pytest.raises(ValueError, match="^picture: expected a picture, got 3"):
        TASKS[frame.record.task].compare(frame, 3)
