"""One picture in the manner of another."""

import torch
from torch import Tensor

from synth.parameters import Float, Picture
from synth.photographs import extent_parameter
from synth.tasks.inversion import Inversion, depth_parameter, feature_error, inversion_size

LEAST = 1e-3
"""Of the largest eigenvalue: directions of less variance are left out of whitening."""


class StyleTransfer(Inversion):
    """Redraw a picture with the colours and textures of another.

    Rojas-Gomez et al. 2021: whitening and colouring (Li et al. 2017) at one depth after another.
    """

    name = "style_transfer"
    title = "Style"
    order = 11
    equation = (
        r"\hat z = \Sigma_s^{1/2} \Sigma_c^{-1/2} (z_c - \mu_c) + \mu_s, \quad"
        r"x \leftarrow G_k\big(\alpha \hat z + (1 - \alpha) z_c\big), \quad k = K, \dots, 1"
    )
    parameters = {
        "picture": Picture(help="What to show."),
        "style": Picture(help="How to draw it.", shelf="styles"),
        "strength": Float(default=0.6, minimum=0, maximum=1, help="How far to go towards the style at each depth."),
        "depth": depth_parameter(3),
        "size": inversion_size(4),
        "extent": extent_parameter(),
    }
    presets = {"paper": {"depth": 4, "strength": 0.6}}

    def run(self, model, p, generators, frame):
        start = x = p.picture
        style, sought = model.maps(p.style, p.depth), model.maps(start, p.depth)
        yield frame(0, p.depth, x, feature_error(model, x, sought[-1], p.depth), start)
        for done, depth in enumerate(range(p.depth, 0, -1), 1):
            z = model.maps(x, depth)[-1]
            z = z + p.strength * (whiten_and_colour(z, style[depth - 1]) - z)
            x = model.decoder(z, depth)
            yield frame(done, p.depth, x, feature_error(model, x, z, depth), start)


def whiten_and_colour(content: Tensor, style: Tensor) -> Tensor:
    """``content`` (N, C, h, w) with the means and covariances over places of ``style`` (N or 1, C, h', w')."""
    pairs = zip(content, style.expand(len(content), -1, -1, -1), strict=True)
    return torch.stack([_whiten_and_colour(*pair) for pair in pairs])


def _whiten_and_colour(content: Tensor, style: Tensor) -> Tensor:
    (flat, mean, values, vectors), (_, other, levels, axes) = _spectrum(content), _spectrum(style)
    kept, used = values > LEAST * values.max(), levels > LEAST * levels.max()
    white = vectors[:, kept] * values[kept].rsqrt() @ vectors[:, kept].T @ (flat - mean)
    coloured = axes[:, used] * levels[used].sqrt() @ axes[:, used].T @ white + other
    return coloured.to(content.dtype).view_as(content)


def _spectrum(z: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    flat = z.double().flatten(1)
    mean = flat.mean(1, keepdim=True)
    covariance = (flat - mean) @ (flat - mean).T / max(1, flat.shape[1] - 1)
    return flat, mean, *torch.linalg.eigh(covariance)
