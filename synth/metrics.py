"""How near pictures are to a known original, beside what a plain method makes of the same input."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from synth import pictures
from synth.randomness import Generators
from synth.tasks.base import Frame
from synth.tasks.inpainting import filled, random_square
from synth.tasks.super_resolution import enlarged

BEST_PSNR = 100.0
"""dB of a picture that equals the truth, whose ratio would be infinite."""


def psnr(x: Tensor, truth: Tensor, where: Tensor | None = None) -> Tensor:
    """Peak signal-to-noise ratio in dB, at most BEST_PSNR: two (N, 3, H, W) in [0, 1] -> (N,).

    where: (N or 1, 1, H, W), 1 on the pixels that count; all of them if None.
    """
    errors = (x - truth).square()
    weight = errors.new_ones(1).expand_as(errors) if where is None else where.expand_as(errors)
    mean = (errors * weight).flatten(1).sum(1) / weight.flatten(1).sum(1)
    return (-10 * mean.log10()).clamp(max=BEST_PSNR)


def ssim(x: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004), at most 1: two (N, 3, H, W) in [0, 1] -> (N,)."""
    return structural_similarity_index_measure(x, truth, data_range=1.0, reduction="none").reshape(-1)


def reference_metrics(x: Tensor, truth: Tensor, holes: Tensor | None = None) -> dict[str, Tensor]:
    """Named values (N,): "psnr" and "ssim", and with ``holes`` (N or 1, 1, H, W), 1 inside, "psnr_hole" too."""
    inside = {} if holes is None else {"psnr_hole": psnr(x, truth, holes)}
    return {"psnr": psnr(x, truth), **inside, "ssim": ssim(x, truth)}


def bicubic(values: dict) -> tuple[Tensor, None]:
    """The input of super-resolution, of checked ``values``, enlarged without a model, and no holes."""
    return enlarged(values["picture"], int(values["factor"]), "bicubic"), None


def mean_fill(values: dict) -> tuple[Tensor, Tensor]:
    """The picture of inpainting, of checked ``values``, with the mean of the rest in the hole, and the holes."""
    picture, hole = values["picture"], values["mask"]
    if hole is None:
        hole = random_square(picture.shape[-1], Generators(values["seed"])[0])
    return filled(picture, hole, "mean", None), hole.expand(len(picture), -1, -1, -1)


BASELINES = {"super_resolution": ("bicubic", bicubic), "inpainting": ("mean fill", mean_fill)}
"""{task: (name, function of the checked settings to pictures (N, 3, S, S) and holes (N, 1, S, S) or None)}."""


def compare(frame: Frame, given) -> dict | None:
    """{"ours": {"psnr", "ssim"}, baseline: the same} against the original, where it is known, else None.

    The original is the whole picture in inpainting, whose figures have "psnr_hole" too, and in super-resolution the
    picture that the task shrank. Values are plain, in dB and up to 1. The baseline is called as in ``BASELINES``; that
    of denoising is the noisy picture, and a reconstruction has a row for each of its pictures instead.

    given: the picture as the task got it, since a frame of super-resolution holds only the shrunk one. One that is
    smaller than the result, or that was such a one enlarged pixel by pixel, is no original.
    ValueError for a ``given`` that no task would take.
    """
    name, values = frame.settings["task"], frame.settings["settings"]
    ours, truth = frame.pictures.cpu(), values.get("picture")
    if name == "reconstruction":
        rows = dict(zip(frame.captions, ours.split(1), strict=True))
        return {row: _plain(reference_metrics(x, truth)) for row, x in rows.items()}
    if name == "denoising":
        rows = {"ours": ours, "noisy": frame.start.cpu()}
        return {row: _plain(reference_metrics(x, truth)) for row, x in rows.items()} if values["sigma"] else None
    if name not in BASELINES:
        return None
    if name == "super_resolution":
        image, size, small = pictures.read(given), ours.shape[-1], truth
        truth = pictures.to_tensor(image, size)
        if min(image.size) < size or torch.allclose(truth, enlarged(small, size // small.shape[-1], "nearest")):
            return None
    if truth.shape != ours.shape:
        return None
    title, baseline = BASELINES[name]
    plain, holes = baseline(values)
    return {row: _plain(reference_metrics(x, truth, holes)) for row, x in (("ours", ours), (title, plain))}


def _plain(found: dict[str, Tensor]) -> dict[str, float]:
    return {key: values.mean().item() for key, values in found.items()}
