"""The start without the details that a Gaussian gets wrong."""

import torch

from synth.starts.base import Start

TRUNCATION = 0.95
"""Fraction of a class's variance that is kept."""


class PCA(Start):
    """A Gaussian in the first principal components of a class alone (arXiv 2407.06315)."""

    name = "pca"
    order = 3
    tensors = {"mean": "CD", "basis": "CKD", "deviation": "CK", "variance": "C"}

    def draw(self, tensors, size, generator):
        deviation = tensors["deviation"]
        offset = deviation * torch.randn(len(deviation), generator=generator)
        explained = deviation.square().cumsum(0) / tensors["variance"]
        offset[int((explained < TRUNCATION).sum()) + 1 :] = 0
        return tensors["mean"], offset @ tensors["basis"]
