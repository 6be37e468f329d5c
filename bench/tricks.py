"""The tricks of feature visualisation on any network (Olah et al. 2017), as changes of a task's problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.constraints import Constraint, norms
from synth.objectives import Objective
from synth.randomness import Randomness, draw
from synth.tasks import Problem

DEGREES, SCALE, SHIFT = 10, 0.1, 1 / 16
"""The largest rotation, change of scale, and shift as a part of the side, of random transformations."""
COLOURS = ((0.26, 0.09, 0.02), (0.27, 0.00, -0.05), (0.27, -0.09, 0.03))
"""Square root of the covariance of the colours of natural pictures, as published with the method."""


def transformed(objective: Objective, generator: Randomness) -> Objective:
    """``objective`` of the pictures shifted, scaled and rotated, each its own way each time."""

    def loss(x: Tensor) -> Tensor:
        angle, scale, *shift = (2 * draw(x[:, 0, 0, :4], generator, torch.rand) - 1).T
        angle, scale = math.radians(DEGREES) * angle, 1 + SCALE * scale
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        across, down = (2 * SHIFT * part for part in shift)
        rows = [torch.stack(row, 1) for row in ((cosine, -sine, across), (sine, cosine, down))]
        grid = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
        return objective(F.grid_sample(x, grid, padding_mode="reflection", align_corners=False))

    return Objective(loss)


def total_variation() -> Objective:
    """Sum of absolute differences between neighbouring pixels (Rudin et al. 1992, anisotropic)."""
    return Objective(lambda x: sum(x.diff(dim=side).abs().flatten(1).sum(1) for side in (2, 3)))


@dataclass(frozen=True)
class Decorrelated:
    """A constraint on pictures whose steps descend decorrelated Fourier coefficients z instead of pixels.

    The pictures are x = start + D z, where D divides each frequency by its size and mixes colours as natural pictures
    do. D is linear, so a step along the gradient of z is one along D D' times that of x, and the ball remains the inner
    one's, in pixels.
    """

    inner: Constraint

    def step(self, x: Tensor, gradient: Tensor, step_size: float) -> Tensor:
        return self.inner.step(x, decorrelated(gradient), step_size)

    def project(self, x: Tensor, center: Tensor) -> Tensor:
        return self.inner.project(x, center)


def decorrelated(gradient: Tensor) -> Tensor:
    """D D' times ``gradient`` (N, 3, H, W)."""
    height, width = gradient.shape[2:]
    down, across = torch.fft.fftfreq(height), torch.fft.rfftfreq(width)
    frequency = torch.hypot(down[:, None], across).clamp_min(1 / max(height, width)).to(gradient.device)
    colours = torch.tensor(COLOURS, device=gradient.device)
    mixed = torch.einsum("ij,njhw->nihw", colours @ colours.T, gradient.float())
    return torch.fft.irfft2(torch.fft.rfft2(mixed) / frequency**2, s=(height, width))


def innermost(constraint: Constraint, change: Callable[[Constraint], Constraint]) -> Constraint:
    """``constraint`` with ``change`` applied to the ball inside masks and blocks."""
    if hasattr(constraint, "inner"):
        return replace(constraint, inner=innermost(constraint.inner, change))
    return change(constraint)


VARIATION = 0.25
"""Length of the total variation's gradient as a part of the loss's own, both at the start."""


def _variation(problem: Problem, generator: Randomness) -> Problem:
    pulls = [_gradient(loss, problem.start) for loss in (problem.loss, total_variation())]
    weight = VARIATION * pulls[0] / (pulls[1] + 1e-10)
    return replace(problem, loss=problem.loss + Objective(lambda x: weight * total_variation()(x)))


def _gradient(loss: Objective, x: Tensor) -> Tensor:
    """The length of the gradient at each of the pictures, (N,)."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        return norms(torch.autograd.grad(loss(x).sum(), x)[0]).flatten()


TRICKS: dict[str, Callable[[Problem, Randomness], Problem]] = {
    "transformations": lambda problem, generator: replace(problem, loss=transformed(problem.loss, generator)),
    "Fourier": lambda problem, _: replace(problem, constraint=innermost(problem.constraint, Decorrelated)),
    "total variation": _variation,
}
