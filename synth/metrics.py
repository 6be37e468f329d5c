"""How near pictures are to a known original."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

BEST_PSNR = 100.0
"""dB of a picture that equals the truth, whose ratio would be infinite."""
AT_ONCE = 20
"""Pictures whose similarity is computed at once, which takes tens of times their own memory."""


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
    parts = []
    for pair in zip(x.split(AT_ONCE), truth.split(AT_ONCE), strict=True):
        values = structural_similarity_index_measure(*pair, data_range=1.0, reduction="none")
        assert isinstance(values, Tensor)  # not asked for its gradient or contrasts
        parts.append(values.reshape(-1))
    return torch.cat(parts)


def reference_metrics(x: Tensor, truth: Tensor, holes: Tensor | None = None) -> dict[str, Tensor]:
    """Named values (N,): "psnr" and "ssim", and with ``holes`` (N or 1, 1, H, W), 1 inside, "psnr_hole" too."""
    inside = {} if holes is None else {"psnr_hole": psnr(x, truth, holes)}
    return {"psnr": psnr(x, truth), **inside, "ssim": ssim(x, truth)}


def table(rows: dict[str, Tensor], truth: Tensor, holes: Tensor | None = None) -> dict[str, dict[str, float]] | None:
    """Mean ``reference_metrics`` of each row's pictures (N, 3, H, W), as plain numbers; None if sizes differ."""
    if any(x.shape[-2:] != truth.shape[-2:] for x in rows.values()):
        return None
    return {
        row: {key: values.mean().item() for key, values in reference_metrics(x.cpu(), truth, holes).items()}
        for row, x in rows.items()
    }
