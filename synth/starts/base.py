"""What a start is: a distribution of pictures of each class, fitted to a data set and sampled by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.randomness import Generators, Randomness


class Components:
    """Principal components of the pictures (N, 3, side, side) of one class, of D = 3 * side * side pixel values.

    mean (D,), basis (K, D) with orthonormal rows, deviation (K,): N(mean, basis' diag(deviation^2) basis).
    variance (): the whole variance, of which the K components hold a part. coordinates (N, K): the pictures.
    """

    def __init__(self, pictures: Tensor, most: int):
        flat = pictures.flatten(1)
        self.mean = flat.mean(0)
        centred = flat - self.mean
        count = min(most, len(flat) - 1, flat.shape[1])
        if len(flat) < flat.shape[1]:
            _, singular, basis = torch.linalg.svd(centred, full_matrices=False)
            variances = singular.square() / (len(flat) - 1)
        else:
            values, vectors = torch.linalg.eigh(centred.T @ centred / (len(flat) - 1))
            variances, basis = values.flip(0), vectors.T.flip(0)
        self.basis, self.variance = basis[:count], variances.sum()
        self.deviation = variances[:count].clamp_min(0).sqrt()
        self.coordinates = centred @ self.basis.T


class Start(ABC):
    """A distribution that synthesis starts from; another one is one more file in this package.

    tensors: its statistics in start.safetensors, by name, each with the letters of its shape: C classes, D pixel
    values, K principal components, M parts. Starts that name the same tensor share it.
    random: whether pictures of one class differ.
    options: the numbers that ``fit`` takes, with their defaults; ``training.fit_start`` offers them.
    """

    name: str
    order: int
    tensors: ClassVar[dict[str, str]] = {}
    random: ClassVar[bool] = True
    options: ClassVar[dict[str, int]] = {}

    def fit(self, components: Components, generator: torch.Generator, options: dict[str, int]) -> dict[str, Tensor]:
        """Its ``tensors`` for one class, without the dimension of the classes."""
        return {name: getattr(components, name) for name in self.tensors}

    def sample(
        self,
        tensors: dict[str, Tensor],
        labels: Tensor,
        size: int,
        *,
        scale: float = 1,
        generator: Randomness = None,
    ) -> Tensor:
        """Pictures (N, 3, size, size) in [0, 1] of the classes ``labels`` (N,), drawn one by one from ``generator``.

        ``scale`` multiplies the distance from the mean. Picture i does not depend on how many follow it.
        """
        pictures = []
        for index, label in enumerate(labels.tolist()):
            of_class = {name: tensors[name][label].float() for name in self.tensors}
            own = generator[index] if isinstance(generator, Generators) else generator
            mean, offset = self.draw(of_class, size, own)
            flat = mean + scale * offset
            side = int((flat.numel() // 3) ** 0.5)
            picture = flat.view(1, 3, side, side)
            if side != size:  # the paper fits at a quarter of the size and upsamples
                picture = F.interpolate(picture, (size, size), mode="bilinear", antialias=True)
            pictures.append(picture.clamp(0, 1))
        return torch.cat(pictures)

    @abstractmethod
    def draw(
        self, tensors: dict[str, Tensor], size: int, generator: torch.Generator | None
    ) -> tuple[Tensor | float, Tensor]:
        """The mean of a class with the statistics ``tensors``, and a random offset from it, (D,) each."""
