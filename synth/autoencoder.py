"""The inverse of a frozen classifier's features: a mirrored decoder (Rojas-Gomez et al. 2021, arXiv 2106.06927).

    decoded = model.decoder(model.maps(x, depth)[-1], depth)

One block undoes one stage of the encoder, and each was trained from every depth, so that any depth can be decoded.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from synth.inference import fold_batch_norm
from synth.seal import compact

FILES = ("decoder.safetensors", "decoder.json")
SCALE = 0.1
"""Of a channel's typical deviation: the least that a channel is divided by."""


class Decoder(nn.Module):
    """Turns the maps of a classifier's stages back into pictures.

    channels: of the map after each stage; scales: by how much each stage shrinks its input.
    width: multiplier of the channels within blocks.
    info: anything worth keeping beside the weights (encoder, data, losses, cost).

    Between the blocks, maps are standardised: each channel minus its mean, over its deviation.
    """

    def __init__(self, channels: list[int], scales: list[int], width: float = 1, info: dict | None = None):
        super().__init__()
        self.channels, self.scales, self.width, self.info = list(channels), list(scales), width, info or {}
        outputs = [3, *channels[:-1]]
        self.blocks = nn.ModuleList(
            _block(given, made, scale, width) for given, made, scale in zip(channels, outputs, scales, strict=True)
        )
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(n), requires_grad=False) for n in channels)
        self.deviations = nn.ParameterList(nn.Parameter(torch.ones(n), requires_grad=False) for n in channels)

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
        found = [z]
        for stage in range(depth, 0, -1):
            z = self.blocks[stage - 1](z)
            if stage == 1:
                z = torch.sigmoid(z.float())
            elif skips is not None:
                z = z + skip * (details(self.normalise(skips[stage - 2], stage - 1)) - details(z))
            found.append(z)
        return found

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


def save(folder: Path, decoders: dict[str, Decoder]) -> None:
    """Write ``decoder.safetensors``, half precision, and ``decoder.json`` into ``folder``."""
    weights = {f"{name}/{key}": compact(one) for name, d in decoders.items() for key, one in d.state_dict().items()}
    save_file(weights, Path(folder) / FILES[0])
    configs = {
        name: {"channels": one.channels, "scales": one.scales, "width": one.width, "info": one.info}
        for name, one in decoders.items()
    }
    (Path(folder) / FILES[1]).write_text(json.dumps(configs, indent=1) + "\n")


def load(folder: Path) -> dict[str, Decoder]:
    """The decoders in ``folder`` by name, in eval mode; ValueError if they are damaged."""
    weights, config = (Path(folder) / name for name in FILES)
    if not weights.exists():
        return {}
    decoders = {}
    try:
        tensors = load_file(weights)
        for name, settings in json.loads(config.read_text()).items():
            decoders[name] = Decoder(**settings)
            own = {key.removeprefix(f"{name}/"): one for key, one in tensors.items() if key.startswith(f"{name}/")}
            decoders[name].load_state_dict(own, strict=True)
            decoders[name].eval()
    except Exception as error:  # safetensors has its own exception type
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"decoder: expected a whole {weights.name} and {config.name}, got {reason}") from None
    return decoders


def details(z: Tensor) -> Tensor:
    """What 2x2 averages leave out of ``z`` (N, C, H, W): the three high bands of its Haar wavelet transform."""
    if z.shape[-1] < 2:
        return torch.zeros_like(z)
    return z - F.interpolate(F.avg_pool2d(z, 2), size=z.shape[-2:])


def _block(given: int, made: int, scale: int, width: float) -> nn.Sequential:
    """Convolution, up-convolution (enlarge, then convolve), convolution; the last one is linear."""
    inner, outer = max(8, round(given * width)), max(16, round((made if made > 3 else given) * width))
    enlarge = [nn.Upsample(scale_factor=scale, mode="bilinear")] if scale > 1 else []
    return nn.Sequential(
        *_convolution(given, inner), *enlarge, *_convolution(inner, outer), nn.Conv2d(outer, made, 3, padding=1)
    )


def _convolution(given: int, made: int) -> list[nn.Module]:
    return [nn.Conv2d(given, made, 3, padding=1, bias=False), nn.BatchNorm2d(made), nn.ReLU(inplace=True)]
