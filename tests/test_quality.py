"""Likeness to an original: closed forms, the reference, and when an original is known."""

from __future__ import annotations

import pytest
import torch
from torchmetrics.functional.image import peak_signal_noise_ratio

from synth import TASKS
from synth.pictures import to_tensor
from synth.quality import BEST_PSNR, compare, psnr, ssim
from synth.tasks.super_resolution import enlarged
from tests.conftest import draw_mask, draw_picture, needed


def test_psnr_is_the_reference_and_bounded():
    x, y = torch.rand(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = peak_signal_noise_ratio(x, y, data_range=1.0, reduction="none", dim=(1, 2, 3))
    assert torch.allclose(psnr(x, y), expected)
    assert psnr(x, x).tolist() == [BEST_PSNR] * 3
    assert psnr(x * 0, x * 0 + 0.1).tolist() == pytest.approx([20] * 3)


def test_ssim_is_one_for_equal_pictures_and_falls():
    x = to_tensor(draw_picture(), 32)
    assert ssim(x, x).tolist() == pytest.approx([1])
    assert ssim(x, 1 - x).item() < ssim(x, (x + 0.05).clamp(0, 1)).item() < 1


def test_super_resolution_of_a_large_picture_has_an_original(model):
    task, settings = TASKS["super_resolution"], {"picture": draw_picture(64, 64), "steps": 2, "factor": "4"}
    frame = task(model, **settings)
    found, truth = compare(task, settings, frame), to_tensor(draw_picture(64, 64), 32)
    plain = enlarged(to_tensor(draw_picture(64, 64), 8), 4, "bicubic")
    assert list(found) == ["this", "bicubic"]
    assert found["bicubic"]["psnr"] == pytest.approx(psnr(plain, truth).item())
    assert found["this"]["ssim"] == pytest.approx(ssim(frame.pictures, truth).item())


@pytest.mark.parametrize("size", [8, 64])
def test_a_small_picture_has_no_original_however_it_is_shown(size, model):
    image = draw_picture(8, 8).resize((size, size), 0)
    settings = {"picture": image, "steps": 1, "factor": "4"}
    assert compare(TASKS["super_resolution"], settings, TASKS["super_resolution"](model, **settings)) is None


@pytest.mark.parametrize("mask", [None, draw_mask()], ids=["random square", "drawn"])
def test_inpainting_is_compared_with_what_was_hidden(mask, model):
    task, settings = TASKS["inpainting"], {"picture": draw_picture(), "mask": mask, "steps": 2, "fill": "mean"}
    frame = task(model, **settings)
    found = compare(task, settings, frame)
    assert list(found) == ["this", "mean colour"]
    assert found["this"]["psnr"] == pytest.approx(psnr(frame.pictures, to_tensor(draw_picture(), 32)).item())
    assert found["mean colour"]["psnr"] == pytest.approx(psnr(frame.start, to_tensor(draw_picture(), 32)).item())


def test_other_tasks_have_no_original(model):
    task = TASKS["translation"]
    assert compare(task, needed(task), task(model, **needed(task))) is None
