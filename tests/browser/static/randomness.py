"""The static page's random numbers and starts, once more in Python: browser/js/random.js, starts.js and loop.js."""

from __future__ import annotations

import math

import torch
from torch import Tensor

WORD = 0xFFFFFFFF


class Random:
    """xoshiro128** whose state splitmix32 makes of a seed; normals by Box and Muller."""

    def __init__(self, seed: int):
        self.state, self.spare = [], None
        for index in range(1, 5):
            z = (seed + index * 0x9E3779B9) & WORD
            z = (z ^ (z >> 16)) * 0x21F0AAAD & WORD
            z = (z ^ (z >> 15)) * 0x735A2D97 & WORD
            self.state.append(z ^ (z >> 15))

    def bits(self) -> int:
        a, b, c, d = self.state
        result = _rotate(b * 5 & WORD, 7) * 9 & WORD
        c, d = c ^ a, d ^ b
        self.state = [a ^ d, b ^ c, c ^ (b << 9 & WORD), _rotate(d, 11)]
        return result

    def uniform(self) -> float:
        return self.bits() / 2**32

    def normal(self) -> float:
        if self.spare is not None:
            value, self.spare = self.spare, None
            return value
        radius = math.sqrt(-2 * math.log(1 - self.uniform()))
        angle = 2 * math.pi * self.uniform()
        self.spare = radius * math.sin(angle)
        return radius * math.cos(angle)

    def normals(self, *shape: int) -> Tensor:
        return torch.tensor([self.normal() for _ in range(math.prod(shape))]).view(shape)


def _rotate(word: int, by: int) -> int:
    return (word << by | word >> (32 - by)) & WORD


def uniforms(randoms: list[Random]):
    """In place of ``synth.randomness.draw`` for views: numbers (N, 2) or (N, 3) from each picture's own generator."""
    return lambda like, *_: torch.tensor([[random.uniform() for _ in range(like.shape[1])] for random in randoms])
