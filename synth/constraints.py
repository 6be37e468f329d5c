"""Where a picture may go: each constraint steps along a gradient, projects, and draws a random start.

Semantics of MadryLab/robustness ``attack_steps``; pictures are (N, 3, H, W) in [0, 1], norms run over C*H*W.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.randomness import Randomness, draw

RIM = 0.1
"""Width of a hole's rim, where steps are shorter, as a part of the picture's side."""
SHARPENINGS = 10
"""How often block means are sharpened, so that those of their enlargement come within 0.1 % of them."""


def norms(x: Tensor) -> Tensor:
    """L2 norm of each picture: (N, ...) -> (N, 1, 1, 1), to broadcast against the pictures."""
    return x.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))


@dataclass(frozen=True)
class L2:
    """Ball of radius ``epsilon`` (pixel units, ``inf`` for none); steps of unit L2 length times the step size.

    boxed: whether [0, 1] holds too, as for pictures; not for feature maps, which the loop moves just as well.
    """

    epsilon: float = float("inf")
    boxed: bool = True

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x - step_size * gradient / (norms(gradient) + 1e-10)

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        change = x - center
        scale = (self.epsilon / norms(change).clamp_min(1e-30)).clamp(max=1)
        x = center + change * scale
        return x.clamp(0, 1) if self.boxed else x

    def random_start(self, center: Tensor, generator: Randomness = None, radius: float = 1) -> Tensor:
        """A point at ``radius * epsilon`` from the centre, in a uniformly random direction."""
        return self.start_along(center, draw(center, generator), radius)

    def start_along(self, center: Tensor, direction: Tensor, radius: float = 1) -> Tensor:
        """The point at ``radius * epsilon`` from the centre along ``direction``."""
        return (center + radius * self.epsilon * direction / (norms(direction) + 1e-10)).clamp(0, 1)


@dataclass(frozen=True)
class Linf:
    """Cube of half-width ``epsilon``; steps along the gradient's sign."""

    epsilon: float = float("inf")

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x - step_size * gradient.sign()

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        return (center + (x - center).clamp(-self.epsilon, self.epsilon)).clamp(0, 1)

    def random_start(self, center: Tensor, generator: Randomness = None, radius: float = 1) -> Tensor:
        """A uniformly random point of the cube of half-width ``radius * epsilon``."""
        offset = 2 * draw(center, generator, torch.rand) - 1
        return (center + radius * self.epsilon * offset).clamp(0, 1)


@dataclass(frozen=True)
class Box:
    """[0, 1] only; steps are the raw gradient times the step size (the published "unconstrained" step)."""

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x - step_size * gradient

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        return x.clamp(0, 1)

    def random_start(self, center: Tensor, generator: Randomness = None, radius: float = 1) -> Tensor:
        """Uniform noise of half-width ``radius / 2`` added to the centre."""
        return (center + radius * (draw(center, generator, torch.rand) - 0.5)).clamp(0, 1)


@dataclass(frozen=True)
class Inside:
    """Another constraint, and only the pixels where ``mask`` (N or 1, 1, H, W) is above 0 may move.

    Values below 1 shorten their steps.
    """

    inner: L2 | Linf | Box
    mask: Tensor

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return self.inner.step(x, gradient * self.mask, step_size)

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        x = torch.where(self.mask > 0, x, center)  # before the ball, so that it measures the mask's inside alone
        return torch.where(self.mask > 0, self.inner.project(x, center), center)


@dataclass(frozen=True)
class SameMean:
    """Another constraint, and the mean of every ``factor`` x ``factor`` block equals ``low`` (N, 3, H/f, W/f).

    The blocks' projection is the exact Euclidean one onto {0 <= x <= 1, mean = low}: shift by what the mean misses, and
    where that leaves [0, 1] shift and clamp, with the shift by bisection. It does not expand distances, so a centre
    inside the set keeps its ball. Of every step only the detail is taken, so that the projection finds next to nothing
    to shift and its blocks do not show.
    """

    inner: L2 | Linf | Box
    low: Tensor
    factor: int

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return x + detail(self.inner.step(x, gradient, step_size) - x, self.factor)

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        return self.match(self.inner.project(x, center))

    def match(self, x: Tensor) -> Tensor:
        """The nearest picture in [0, 1] whose blocks have the means ``low``."""
        factor = self.factor
        moved = x + F.interpolate(self.low - F.avg_pool2d(x, factor), scale_factor=factor)
        outside = F.max_pool2d((moved != moved.clamp(0, 1)).to(x), factor) > 0  # (N, 3, H/f, W/f)
        blocks = moved.unfold(2, factor, factor).unfold(3, factor, factor)  # a view (N, 3, H/f, W/f, f, f)
        low = self.low.expand(outside.shape)[outside].view(-1, 1, 1)
        blocks[outside] = shift_blocks(blocks[outside], low, lambda x: x.mean((1, 2), keepdim=True))
        return moved


def detail(x: Tensor, factor: int) -> Tensor:
    """``x`` (N, 3, H, W) without what its blocks' means tell: those of the result, of even ``factor``, are nearly 0.

    What is taken away is smooth: the bilinear enlargement that has those means.
    """
    means = F.avg_pool2d(x, factor)
    rows, columns = (_sharpening(side, means) for side in means.shape[2:])
    return x - F.interpolate(rows @ means @ columns.T, scale_factor=factor, mode="bilinear")


def _sharpening(side: int, like: Tensor) -> Tensor:
    """The matrix (side, side) from a line of means to what has these means once it is enlarged by an even factor."""
    means = sharpened = torch.eye(side, dtype=like.dtype, device=like.device)
    for _ in range(SHARPENINGS):
        around = F.pad(sharpened[None], (0, 0, 1, 1), mode="replicate")[0]
        sharpened = sharpened + means - (around[:-2] + 6 * sharpened + around[2:]) / 8  # the means once enlarged
    return sharpened


def softened(mask: Tensor) -> Tensor:
    """``mask`` (N, 1, H, W) with values that grow from its rim to 1 at RIM of the width inside.

    What changes inside then grows out of what surrounds it.
    """
    layers, width = [mask], max(1, round(RIM * mask.shape[-1]))
    while len(layers) < width:
        layers.append(1 - F.max_pool2d(1 - layers[-1], 3, stride=1, padding=1))
    return torch.stack(layers).mean(0)


def shift_blocks(blocks: Tensor, low: Tensor, mean: Callable[[Tensor], Tensor]) -> Tensor:
    """``blocks`` shifted by one value each and clamped to [0, 1], so that their ``mean`` is ``low``, by bisection."""
    above = torch.ones_like(mean(blocks))
    below = -above
    for _ in range(24):
        middle = (below + above) / 2
        high = mean((blocks + middle).clamp(0, 1)) > low
        above, below = torch.where(high, middle, above), torch.where(high, below, middle)
    return (blocks + (below + above) / 2).clamp(0, 1)


Constraint = L2 | Linf | Box | Inside | SameMean
