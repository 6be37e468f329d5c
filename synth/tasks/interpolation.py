"""Between two pictures."""

import torch
from torch import Tensor

from synth.parameters import Float, Int, Picture
from synth.tasks.inversion import Inversion, depth_parameter, feature_error, inversion_size

LEAST = 1e-6
"""Of a spread that is divided by: a channel that is the same everywhere stays so."""


class Interpolation(Inversion):
    """Walk from one picture to another through the classifier's features.

    Latent interpolation with the decoder of Rojas-Gomez et al. 2021. The average of two feature maps varies less from
    place to place than either of them, and is decoded as a blur; ``contrast`` gives each channel its variation back.
    """

    name = "interpolation"
    title = "Interpolate"
    order = 9
    walks = True
    equation = (
        r"z_t = (1 - t) f(x_0) + t f(x_1), \quad x_t = G\Big(\mu(z_t) + \big(1 - c + c\,"
        r"\tfrac{(1 - t) \sigma_0 + t \sigma_1}{\sigma(z_t)}\big) (z_t - \mu(z_t))\Big), \quad 0 \le t \le 1"
    )
    parameters = {
        "picture": Picture(help="Where to begin."),
        "other": Picture(help="Where to end.", shelf="others"),
        "count": Int(default=8, minimum=2, maximum=32, help="How many pictures, both ends included."),
        "contrast": Float(default=1, minimum=0, maximum=1, help="How much of the ends' contrast each blend gets back."),
        "depth": depth_parameter(3),
        "size": inversion_size(),
    }
    presets = {"paper": {"depth": 4, "contrast": 0}}

    def run(self, model, p, generators, frame):
        part = torch.linspace(0, 1, p.count, device=model.device).view(-1, 1, 1, 1)

        def walk(first, last):
            return ((1 - part) * first[:, None] + part * last[:, None]).flatten(0, 1)

        faded = walk(p.picture, p.other)
        ends = [model.maps(x, p.depth)[-1] for x in (p.picture, p.other)]
        z = walk(*ends)
        (mean, spread), sought = mean_and_spread(z), walk(*(mean_and_spread(end)[1] for end in ends))
        z = mean + (z - mean) * (1 + p.contrast * (sought / spread.clamp_min(LEAST) - 1))
        yield frame(0, 1, faded, feature_error(model, faded, z, p.depth), faded)
        x = model.decoder(z, p.depth)
        yield frame(1, 1, x, feature_error(model, x, z, p.depth), faded)


def mean_and_spread(z: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel of ``z`` (N, C, h, w) over its places, (N, C, 1, 1) each."""
    return z.mean((2, 3), keepdim=True), z.std((2, 3), keepdim=True, correction=0)
