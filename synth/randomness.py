"""Random numbers that depend on a seed alone: drawn on the CPU, one generator a picture."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Generators:
    """One generator a picture: picture i draws what the seed ``seed + i`` draws for a picture alone."""

    def __init__(self, seed: int):
        self.seed = seed
        self._generators: dict[int, torch.Generator] = {}

    def __getitem__(self, index: int) -> torch.Generator:
        if index not in self._generators:
            self._generators[index] = torch.Generator().manual_seed(self.seed + index)
        return self._generators[index]


Randomness = torch.Generator | Generators | None


def draw(like: Tensor, randomness: Randomness, distribution: Callable = torch.randn) -> Tensor:
    """Random numbers of the shape, type and device of ``like`` (N, ...), the same on every device."""
    if isinstance(randomness, Generators):
        rows = [distribution(like.shape[1:], generator=randomness[index]) for index in range(len(like))]
        return torch.stack(rows).to(like)
    device = randomness.device if randomness is not None else like.device
    return distribution(like.shape, generator=randomness, device=device, dtype=like.dtype).to(like.device)
