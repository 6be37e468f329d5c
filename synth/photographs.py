"""Whole photographs, of any size and shape, by a network that knows one small square.

A hole is filled in a square around it, at the network's own size first and then at twice and four times that, up to
the photograph's. What has no place of its own, such as more resolution, is done in tiles that lie elsewhere at each
step: no step sees a seam twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from synth.constraints import L2, Inside, softened
from synth.multiscale import REACH, enlarge
from synth.objectives import Objective
from synth.parameters import Choice
from synth.randomness import Randomness, draw

CONTEXT = 2.5
"""Side of the square around a hole, as a multiple of the hole's."""
AT_ONCE = 8
"""Tiles whose gradients are computed together, which bounds the memory."""


def extent_parameter() -> Choice:
    """How much of a picture is worked on, and given back."""
    return Choice(
        default="square",
        options=("square", "whole"),
        help="Work on the central square at the model's own size, or on the whole photo at the photo's size.",
    )


@dataclass(frozen=True)
class Surroundings:
    """A square of a photograph (1, 3, H, W) around where ``mask`` (1, 1, H, W) is set, for a network of ``size``."""

    photo: Tensor
    mask: Tensor
    top: int
    left: int
    side: int
    size: int

    @classmethod
    def of(cls, photo: Tensor, mask: Tensor, size: int) -> Surroundings:
        """The square is CONTEXT times as wide as the hole, as far as the photograph reaches."""
        rows, columns = (mask[0, 0].amax(axis).nonzero().flatten() for axis in (1, 0))
        extents = [(int(line[0]), int(line[-1]) + 1) for line in (rows, columns)]
        height, width = photo.shape[2:]
        hole = max(end - begin for begin, end in extents)
        side = min(height, width, max(size, round(CONTEXT * hole)))
        top, left = (
            min(max(0, (begin + end - side) // 2), whole - side)
            for (begin, end), whole in zip(extents, (height, width), strict=True)
        )
        return cls(photo, mask, top, left, side, size)

    @property
    def stages(self) -> int:
        """The largest multiple of the network's size at which it works, 1, 2 or 4."""
        return next(factor for factor in (1, 2, 4) if factor == 4 or factor * self.size >= self.side)

    def picture(self, factor: int = 1) -> Tensor:
        """The square at ``factor`` times the network's size."""
        side = factor * self.size
        return F.interpolate(self._cut(self.photo), (side, side), mode="bilinear", antialias=True)

    def hole(self, factor: int = 1) -> Tensor:
        """What of it is masked, to its last pixel."""
        return F.adaptive_max_pool2d(self._cut(self.mask), factor * self.size)

    def next_stage(self, x: Tensor, factor: int, epsilon: float) -> tuple[Tensor, Inside]:
        """Where the steps at ``factor`` times the network's size start after ``x``, half as large; how far they go."""
        start = torch.where(self.hole(factor) > 0, enlarge(x, 2), self.picture(factor))
        return start, Inside(L2(REACH * factor * epsilon), softened(self.hole(factor)))

    def paste(self, x: Tensor) -> Tensor:
        """The photograph with what the square ``x`` holds under the mask."""
        inside = F.interpolate(x, (self.side, self.side), mode="bicubic").clamp(0, 1)
        rest = self.photo.shape[2] - self.top - self.side, self.photo.shape[3] - self.left - self.side
        placed = F.pad(inside, (self.left, rest[1], self.top, rest[0]))
        return torch.where(self.mask > 0, placed, self.photo)

    def _cut(self, x: Tensor) -> Tensor:
        return x[..., self.top : self.top + self.side, self.left : self.left + self.side]


def tiled(objective: Callable[[Tensor], Tensor], side: int, generator: Randomness = None) -> Objective:
    """The sum of ``objective`` over tiles of ``side`` pixels that cover a picture (1, 3, H, W), elsewhere each time."""

    def loss(x: Tensor) -> Tensor:
        before = (draw(x[:, 0, 0, :2].float(), generator, torch.rand)[0] * side).long().tolist()
        after = [-(length + begin) % side for length, begin in zip(x.shape[2:], before, strict=True)]
        padded = F.pad(x, (before[1], after[1], before[0], after[0]), mode="reflect")
        tiles = padded.unfold(2, side, side).unfold(3, side, side)
        tiles = tiles.permute(0, 2, 3, 1, 4, 5).reshape(-1, 3, side, side)
        losses = [checkpoint(objective, part, use_reentrant=False) for part in tiles.split(AT_ONCE)]
        return torch.cat(losses).sum()[None]

    return Objective(loss)
