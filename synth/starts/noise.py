"""The start that knows no class."""

import torch

from synth.starts.base import Start


class Noise(Start):
    """Grey noise, for checkpoints that come without statistics too."""

    name = "noise"
    order = 5

    def draw(self, tensors, size, generator):
        return 0.5, 0.25 * torch.randn(3, size, size, generator=generator).flatten()
