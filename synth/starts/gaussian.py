"""The published start."""

import torch

from synth.starts.base import Start


class Gaussian(Start):
    """A Gaussian in the principal components of a class (Santurkar et al. 2019, section 3.1)."""

    name = "gaussian"
    order = 1
    tensors = {"mean": "CD", "basis": "CKD", "deviation": "CK"}

    def draw(self, tensors, size, generator):
        offset = tensors["deviation"] * torch.randn(len(tensors["deviation"]), generator=generator)
        return tensors["mean"], offset @ tensors["basis"]
