"""Pictures larger than the checkpoint's own: the result, enlarged, is where the same steps go on.

The classifiers pool globally, so they read any size; at a larger one they find their textures at a finer grain.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from synth.objectives import Objective
from synth.parameters import Choice

REACH = 0.25
"""What a larger stage may move each pixel, as a part of what the first may: it adds detail and leaves the rest."""


def size_parameter(
    default: int = 1,
    words: str = "How many times larger than the checkpoint's own size; each doubling adds detail, and takes longer.",
) -> Choice:
    """How large the result is."""
    return Choice(default=default, options=(1, 2, 4), help=words)


def factors(size: int) -> list[int]:
    """The stages on the way to ``size``, as multiples of the checkpoint's own size: 1, 2, ..."""
    return [factor for factor in (1, 2, 4) if factor <= size]


def enlarge(picture: Tensor, factor: int, upsampling: str = "bicubic") -> Tensor:
    """Interpolate pictures (N, 3, H, W) to (N, 3, factor * H, factor * W) in [0, 1]."""
    return F.interpolate(picture, scale_factor=factor, mode=upsampling).clamp(0, 1)


def at_both_sizes(loss: Objective, native: int) -> Objective:
    """``loss`` of the whole picture, and half as much of it shrunk to ``native`` pixels, which holds its shape."""

    def shrunk(x: Tensor) -> Tensor:
        return loss(F.interpolate(x, size=(native, native), mode="bilinear", antialias=True))

    return 2 / 3 * loss + 1 / 3 * Objective(shrunk)
