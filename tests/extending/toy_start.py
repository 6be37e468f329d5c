"""A dim picture of each class."""

import torch

from synth.starts.base import Start


class Dim(Start):
    """The mean picture of a class at half its brightness."""

    name = "dim"
    order = 99
    tensors = {"mean": "CD"}
    random = False

    def draw(self, tensors, size, generator):
        return tensors["mean"] / 2, torch.zeros_like(tensors["mean"])
