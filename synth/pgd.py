"""The only optimisation loop: projected gradient descent on pictures (Santurkar et al. 2019, Madry et al. 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from synth.constraints import Constraint, norms
from synth.randomness import Randomness, draw

Loss = Callable[[Tensor], Tensor]
Schedule = Callable[[int, int], float]


@dataclass(frozen=True)
class Iterate:
    """One state of the loop: pictures (N, 3, H, W) after ``step`` steps; ``loss`` (N,) of the state before."""

    step: int
    pictures: Tensor
    loss: Tensor


def iterate(
    loss: Loss,
    start: Tensor,
    constraint: Constraint,
    *,
    steps: int,
    step_size: float | Schedule,
    center: Tensor | None = None,
    momentum: float = 0,
    noise: float = 0,
    best: bool = False,
    until: Tensor | None = None,
    generator: Randomness = None,
) -> Iterator[Iterate]:
    """Descend ``loss`` from ``start``, yielding after every step; closing the iterator stops the work.

    loss: (N, 3, H, W) -> (N,), summed before the gradient, so a picture does not depend on its batch.
    step_size: pixel units, or a function of (step, steps).
    center: what the constraint is centred on, by default ``start``.
    momentum: weight of the past unit gradients (Dong et al. 2018); 0 is the published loop.
    noise: standard deviation of Gaussian noise added at each step, drawn from ``generator``.
    best: the last state holds each picture's best iterate by loss instead of its last.
    until: losses (N,) at which pictures stay as they are from then on; the loop ends when all do.
    """
    center = start.detach() if center is None else center.detach()
    x = start.detach()
    velocity = torch.zeros_like(x) if momentum else None
    best_x, best_loss = x, torch.full((len(x),), math.inf, device=x.device)
    resting = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for index in range(steps):
        losses, gradient = _gradient(loss, x)
        with torch.no_grad():
            if best:
                best_x, best_loss = _better(best_x, best_loss, x, losses)
            if velocity is not None:
                velocity = momentum * velocity + gradient / (norms(gradient) + 1e-10)
                gradient = velocity
            size = step_size(index, steps) if callable(step_size) else step_size
            before, x = x, constraint.step(x, gradient, size)
            if noise:
                x = x + noise * draw(x, generator)
            x = constraint.project(x, center)
            if until is not None:
                resting |= losses <= until
                x = torch.where(resting.view(-1, 1, 1, 1), before, x)
            if best and index == steps - 1:
                x, _ = _better(best_x, best_loss, x, loss(x))
        yield Iterate(index + 1, x, losses)
        if resting.all():
            break


def pgd(
    loss: Loss,
    start: Tensor,
    constraint: Constraint,
    *,
    callback: Callable[[Iterate], object] | None = None,
    **settings,
) -> Tensor:
    """The pictures at the end of ``iterate(loss, start, constraint, **settings)``; ``callback`` sees every state."""
    pictures = start.detach()
    for state in iterate(loss, start, constraint, **settings):
        pictures = state.pictures
        if callback is not None:
            callback(state)
    return pictures


def cosine(size: float) -> Schedule:
    """A step size that falls from ``size`` to nearly zero along half a cosine."""
    return lambda step, steps: size * 0.5 * (1 + math.cos(math.pi * step / steps))


def _gradient(loss: Loss, x: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        losses = loss(x)
        if losses.shape != (len(x),):
            raise ValueError(f"loss: expected one value a picture, shape ({len(x)},), got {tuple(losses.shape)}")
        (gradient,) = torch.autograd.grad(losses.sum(), x)
    return losses.detach(), gradient


def _better(best_x: Tensor, best_loss: Tensor, x: Tensor, loss: Tensor) -> tuple[Tensor, Tensor]:
    better = loss < best_loss
    return torch.where(better.view(-1, 1, 1, 1), x, best_x), torch.where(better, loss, best_loss)
