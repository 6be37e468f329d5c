"""Where synthesis starts: per class a low-rank Gaussian and a mixture, fitted by ``training.fit_start``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor

from synth.randomness import Generators, Randomness, draw

KINDS = ("gaussian", "mixture", "pca", "mean", "noise")
TRUNCATION = 0.95
"""Fraction of a class's variance that the truncated PCA start keeps (arXiv 2407.06315)."""


@dataclass(frozen=True)
class Start:
    """Statistics of C classes in K principal components of D = 3 * side * side pixel values.

    mean (C, D), basis (C, K, D) with orthonormal rows, deviation (C, K): N(mean, basis' diag(deviation^2) basis).
    variance (C,): the whole variance, of which the K components hold a part.
    weights (C, M), centers (C, M, K), factors (C, M, K, K): a mixture of M Gaussians over the components.
    """

    mean: Tensor
    basis: Tensor
    deviation: Tensor
    variance: Tensor
    weights: Tensor
    centers: Tensor
    factors: Tensor

    def sample(self, kind: str, labels: Tensor, size: int, *, scale: float = 1, generator: Randomness = None) -> Tensor:
        """Starts (N, 3, size, size) in [0, 1] for classes ``labels`` (N,), drawn one by one from ``generator``.

        ``scale`` multiplies the distance from the class mean. Sampled in turn, so that
        picture i does not depend on how many follow it.
        """
        return torch.cat(
            [self._one(kind, int(label), size, scale, _of(generator, index)) for index, label in enumerate(labels)]
        )

    def _one(self, kind: str, label: int, size: int, scale: float, generator: torch.Generator | None) -> Tensor:
        basis, deviation = self.basis[label].float(), self.deviation[label].float()
        components = len(basis)
        if kind == "mean":
            offset = torch.zeros(components)
        elif kind == "mixture":
            part = torch.multinomial(self.weights[label].float(), 1, generator=generator).item()
            draw = torch.randn(components, generator=generator)
            offset = self.centers[label, part].float() + self.factors[label, part].float() @ draw
        else:
            offset = deviation * torch.randn(components, generator=generator)
            if kind == "pca":
                explained = deviation.square().cumsum(0) / self.variance[label].float()
                offset[int((explained < TRUNCATION).sum()) + 1 :] = 0
        flat = self.mean[label].float() + scale * (offset @ basis)
        side = int((flat.numel() // 3) ** 0.5)
        picture = flat.view(1, 3, side, side)
        if side != size:  # the paper fits at a quarter of the size and upsamples
            picture = F.interpolate(picture, (size, size), mode="bilinear", antialias=True)
        return picture.clamp(0, 1)

    def _check(self) -> None:
        classes, components, pixels = self.basis.shape
        parts = self.weights.shape[-1]
        expected = {
            "mean": (classes, pixels),
            "deviation": (classes, components),
            "variance": (classes,),
            "weights": (classes, parts),
            "centers": (classes, parts, components),
            "factors": (classes, parts, components, components),
        }
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} of shape {tuple(getattr(self, name).shape)} instead of {shape}")

    def save(self, path: Path) -> None:
        save_file({field.name: getattr(self, field.name).half().contiguous() for field in fields(self)}, path)

    @classmethod
    def load(cls, path: Path) -> Start:
        """Read ``start.safetensors``; ValueError if it is damaged or of another kind."""
        try:
            start = cls(**load_file(path))
            start._check()
            return start
        except Exception as error:  # safetensors has its own exception type
            raise ValueError(f"start: expected a whole start.safetensors, got {path} ({error})") from None


def noise(labels: Tensor, size: int, *, scale: float = 1, generator: Randomness = None) -> Tensor:
    """Grey noise (N, 3, size, size), for checkpoints that come without statistics."""
    return (0.5 + scale * 0.25 * draw(torch.empty(len(labels), 3, size, size), generator)).clamp(0, 1)


def _of(generator: Randomness, index: int) -> torch.Generator | None:
    return generator[index] if isinstance(generator, Generators) else generator
