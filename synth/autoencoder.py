"""The inverse of a frozen classifier's features: a mirrored decoder (Rojas-Gomez et al. 2021, arXiv 2106.06927).

    decoded = model.decoder(model.maps(x, depth)[-1], depth)

One block undoes one stage of the encoder, and each was trained from every depth, so that any depth can be decoded.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.inference import fold_batch_norm
from synth.sizes import CHANNELS, SIDE, STAGES, check_numbers, check_table, check_whole, check_width

SCALE = 0.1
"""The least that a channel is divided by, relative to the typical deviation of a channel."""


class Decoder(nn.Module):
    """Turns the maps of a classifier's stages back into pictures.

    channels: of the map after each stage; scales: by how much each stage shrinks its input.
    width: multiplier of the channels within blocks.
    info: anything worth keeping beside the weights (encoder, data, losses, cost).

    Between the blocks, maps are standardised: each channel minus its mean, over its deviation. ValueError for sizes
    that no network has.
    """

    def __init__(self, channels: list[int], scales: list[int], width: float = 1, info: dict | None = None):
        super().__init__()
        check_width(width)
        check_whole("channels", len(channels), STAGES)
        for channel, scale in zip(channels, scales, strict=True):
            check_whole("channels", channel, CHANNELS)
            check_whole("scales", scale, SIDE)
        check_table("info", info or {})
        for name in ("normal_scores", "normal_peaks"):
            check_numbers(name, (info or {}).get(name, []))
        self.channels, self.scales, self.width, self.info = list(channels), list(scales), width, info or {}
        outputs = [3, *channels[:-1]]
        self.blocks = nn.ModuleList(
            _block(inner, outer, scale, width) for inner, outer, scale in zip(channels, outputs, scales, strict=True)
        )
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(n), requires_grad=False) for n in channels)
        self.deviations = nn.ParameterList(nn.Parameter(torch.ones(n), requires_grad=False) for n in channels)

    @property
    def config(self) -> dict:
        """The arguments that make such a decoder, as JSON can hold them."""
        return {name: getattr(self, name) for name in ("channels", "scales", "width", "info")}

    @property
    def depth(self) -> int:
        """The deepest stage that it inverts."""
        return len(self.blocks)

    @torch.no_grad()
    def standardise(self, maps: list[Tensor]) -> None:
        """Take means and deviations from ``maps`` of many pictures."""
        for one, mean, deviation in zip(maps, self.means, self.deviations, strict=True):
            channels = one.float().transpose(0, 1).flatten(1)
            mean.copy_(channels.mean(1))
            spread = channels.std(1)
            deviation.copy_(spread.clamp_min(SCALE * spread.mean()))

    def normalise(self, z: Tensor, depth: int) -> Tensor:
        """A map of the encoder's after ``depth`` stages, standardised."""
        return (z - self.means[depth - 1].view(1, -1, 1, 1)) / self.deviations[depth - 1].view(1, -1, 1, 1)

    def decode_stages(self, z: Tensor, depth: int, skips: list[Tensor] | None = None, skip: float = 1) -> list[Tensor]:
        """Standardised maps after ``depth``, ``depth - 1``, ... 1 stages, then the picture, decoded from the first.

        skips: the encoder's maps after each stage, whose finest details (the Haar wavelet's high bands) replace those
        of the decoded maps by the part ``skip`` (wavelet pooling of the paper's denoiser).
        """
        decoded = [z]
        for stage in range(depth, 0, -1):
            z = self.blocks[stage - 1](z)
            if stage == 1:
                z = torch.sigmoid(z.float())
            elif skips is not None:
                z = z + skip * (details(self.normalise(skips[stage - 2], stage - 1)) - details(z))
            decoded.append(z)
        return decoded

    def forward(
        self, z: Tensor, depth: int | None = None, skips: list[Tensor] | None = None, skip: float = 1
    ) -> Tensor:
        """Pictures (N, 3, H, W) in [0, 1] from the encoder's map ``z`` after ``depth`` stages, the deepest if None."""
        depth = depth or self.depth
        return self.decode_stages(self.normalise(z, depth), depth, skips, skip)[-1]

    def inference_copy(self) -> Decoder:
        """A frozen copy in eval mode, batch norm folded into the convolutions, channels last."""
        twin = copy.deepcopy(self).eval().requires_grad_(False)
        fold_batch_norm(twin)
        return twin.to(memory_format=torch.channels_last)


def details(z: Tensor) -> Tensor:
    """What 2x2 averages leave out of ``z`` (N, C, H, W): the three high bands of its Haar wavelet transform."""
    if z.shape[-1] < 2:
        return torch.zeros_like(z)
    return z - F.interpolate(F.avg_pool2d(z, 2), size=z.shape[-2:])


def _block(inputs: int, outputs: int, scale: int, width: float) -> nn.Sequential:
    """Convolution, up-convolution (enlarge, then convolve), convolution; the last one is linear."""
    narrow, wide = max(8, round(inputs * width)), max(16, round((outputs if outputs > 3 else inputs) * width))
    enlarge = [nn.Upsample(scale_factor=scale, mode="bilinear")] if scale > 1 else []
    return nn.Sequential(
        *_convolution(inputs, narrow), *enlarge, *_convolution(narrow, wide), nn.Conv2d(wide, outputs, 3, padding=1)
    )


def _convolution(inputs: int, outputs: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
