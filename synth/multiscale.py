"""Several sizes in one run: the result of one, enlarged, is where the steps go on at the next.

The classifiers pool globally, so they read any size. At one larger than their own they find their textures at a finer
grain; at half of it they see the whole shape, and a step costs a quarter.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from synth.objectives import Objective
from synth.parameters import Choice, Int

REACH = 0.25
"""What a larger stage may move each pixel, as a part of what the first may: it adds detail and leaves the rest."""


def size_parameter(
    default: int = 1,
    words: str = "How many times larger than the checkpoint's own size; each doubling adds detail, and takes longer.",
) -> Choice:
    """How large the result is."""
    return Choice(default=default, options=(1, 2, 4), help=words)


def coarse_parameter() -> Int:
    """How long a run stays at half the size first."""
    return Int(
        default=0,
        minimum=0,
        maximum=1000,
        more=True,
        help="Steps at half the size before the others; they settle the shape, and each costs a quarter.",
    )


def shrink(picture: Tensor) -> Tensor:
    """Means of 2x2 pixels: (N, 3, H, W) to (N, 3, H / 2, W / 2), rounded up."""
    height, width = picture.shape[2:]
    return F.adaptive_avg_pool2d(picture, (-(-height // 2), -(-width // 2)))


def factors(size: int) -> list[int]:
    """The stages on the way to ``size``, as multiples of the checkpoint's own size: 1, 2, ..."""
    return [factor for factor in (1, 2, 4) if factor <= size]


def enlarge(picture: Tensor, factor: int, upsampling: str = "bicubic") -> Tensor:
    """Interpolate pictures (N, 3, H, W) to (N, 3, factor * H, factor * W) in [0, 1]."""
    return F.interpolate(picture, scale_factor=factor, mode=upsampling).clamp(0, 1)


def changed(picture: Tensor, change: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) after ``change``, which was made at half their size; its L2 length doubles at most."""
    return (picture + F.interpolate(change, picture.shape[2:], mode="bilinear")).clamp(0, 1)


def at_both_sizes(loss: Objective, native: int) -> Objective:
    """``loss`` of the whole picture, and half as much of it shrunk to ``native`` pixels, which holds its shape."""

    def shrunk(x: Tensor) -> Tensor:
        return loss(F.interpolate(x, size=(native, native), mode="bilinear", antialias=True))

    return 2 / 3 * loss + 1 / 3 * Objective(shrunk)
