"""The start without chance."""

import torch

from synth.starts.base import Start


class Mean(Start):
    """The mean picture of a class."""

    name = "mean"
    order = 4
    tensors = {"mean": "CD"}
    random = False

    def draw(self, tensors, size, generator):
        return tensors["mean"], torch.zeros_like(tensors["mean"])
