"""The adversary of a decoder, for its adversarial loss."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations


class Discriminator(nn.Module):
    """How real each place of pictures (N, 3, H, W) looks beside the encoder's map (N, C, h, w): (N, 1, H/8, W/8)."""

    def __init__(self, channels: int, width: int = 32):
        super().__init__()
        counts = [3, width, 2 * width, 4 * width]
        layers = [(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2)) for a, b in pairwise(counts)]
        # Saved trainings hold these names: ``seen`` reads the picture, ``told`` the map.
        self.seen = nn.Sequential(*(part for layer in layers for part in layer))
        self.told = nn.Conv2d(channels, counts[-1], 1)
        self.last = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(counts[-1], 1, 3, padding=1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                parametrizations.spectral_norm(module)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        features = self.seen(x)
        return self.last(features + F.interpolate(self.told(z), size=features.shape[-2:])).float()
