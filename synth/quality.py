"""Likeness to a known original, beside the plain way of doing it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synth import pictures
from synth.randomness import Generators
from synth.tasks.base import Frame, Task
from synth.tasks.inpainting import filled, random_square
from synth.tasks.super_resolution import enlarged

BEST_PSNR = 100.0
"""dB of a picture that equals the original, whose ratio would be infinite."""


def psnr(x: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB, at most BEST_PSNR: two (N, ...) in [0, 1] -> (N,)."""
    error = (x - truth).square().flatten(1).mean(1)
    return (-10 * error.log10()).clamp(max=BEST_PSNR)


def ssim(x: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity, torchmetrics' with its usual window: two (N, 3, H, W) in [0, 1] -> (N,)."""
    from torchmetrics.functional.image import structural_similarity_index_measure  # a slow import

    return structural_similarity_index_measure(x, truth, data_range=1.0, reduction="none").reshape(-1)


def compare(task: Task, settings: dict, frame: Frame) -> dict[str, dict[str, float]] | None:
    """{"this": {"psnr", "ssim"}, BASELINE: ...} of a run's one result, None where no original is known.

    settings: as the task was given them. Super-resolution of a picture larger than what the model is shown has an
    original, and bicubic enlargement for its baseline; inpainting always has, and the mean colour in the hole.
    """
    find = {"super_resolution": _enlarged, "inpainting": _filled}.get(task.name)
    found = find(settings, frame) if find is not None else None
    if found is None:
        return None
    truth, name, baseline = found
    rows = {"this": frame.pictures.cpu(), name: baseline}
    return {row: {"psnr": psnr(x, truth).item(), "ssim": ssim(x, truth).item()} for row, x in rows.items()}


def _enlarged(settings: dict, frame: Frame) -> tuple[Tensor, str, Tensor] | None:
    used = frame.settings["settings"]
    factor, small = int(used["factor"]), used["picture"]
    given, side = pictures.read(settings["picture"]), small.shape[-1] * factor
    truth = pictures.to_tensor(given, side)
    blocks = F.interpolate(small, scale_factor=factor)
    if min(given.size) < side or torch.allclose(truth, blocks, atol=1 / 255):
        return None  # nothing but the small picture was given
    return truth, "bicubic", enlarged(small, factor, "bicubic")


def _filled(settings: dict, frame: Frame) -> tuple[Tensor, str, Tensor] | None:
    used = frame.settings["settings"]
    truth, mask = used["picture"], used["mask"]
    if truth.shape != frame.pictures.shape:
        return None
    if mask is None:
        mask = random_square(truth.shape[-1], Generators(used["seed"])[0])
    return truth, "mean colour", filled(truth, mask, "mean", None)
