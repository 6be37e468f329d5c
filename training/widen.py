"""Wider networks that begin with the function of a narrower one (Net2Net, Chen et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


def widen(narrow: dict[str, Tensor], wide: dict[str, Tensor], generator: torch.Generator) -> dict[str, Tensor]:
    """The tensors of ``narrow`` in the shapes of ``wide``, a network of the same parts and several times as wide.

    Each channel is repeated. What follows it divides its weight between the copies, unevenly and at random, so that the
    function stays and training can tell the copies apart. ValueError for shapes that are not multiples.
    """
    if narrow.keys() != wide.keys():
        raise ValueError("initial: expected a network of the same parts, got another one")
    return {name: _repeated(tensor, wide[name].shape, name, generator) for name, tensor in narrow.items()}


def _repeated(tensor: Tensor, shape: torch.Size, name: str, generator: torch.Generator) -> Tensor:
    if tensor.ndim != len(shape) or any(large % small for small, large in zip(tensor.shape, shape, strict=True)):
        raise ValueError(f"initial: expected {name} in a shape that divides {tuple(shape)}, got {tuple(tensor.shape)}")
    if not tensor.ndim:
        return tensor
    times = [large // small for small, large in zip(tensor.shape, shape, strict=True)]
    repeated = tensor.repeat(times)
    if tensor.ndim < 2 or times[1] == 1:
        return repeated
    shares = 0.5 + torch.rand(shape[0], times[1], tensor.shape[1], generator=generator)
    shares = (shares / shares.sum(1, keepdim=True)).flatten(1)
    return repeated * shares.view(*shares.shape, *[1] * (tensor.ndim - 2))
