"""Between two pictures."""

import torch

from synth.parameters import Int, Picture
from synth.tasks.inversion import Inversion, depth_parameter, feature_error, inversion_size


class Interpolation(Inversion):
    """Walk from one picture to another through the classifier's features.

    Latent interpolation with the decoder of Rojas-Gomez et al. 2021.
    """

    name = "interpolation"
    title = "Interpolate"
    order = 9
    walks = True
    equation = r"x_t = G\big((1 - t) f(x_0) + t f(x_1)\big), \quad 0 \le t \le 1"
    parameters = {
        "picture": Picture(help="Where to begin."),
        "other": Picture(help="Where to end.", shelf="others"),
        "count": Int(default=8, minimum=2, maximum=32, help="How many pictures, both ends included."),
        "depth": depth_parameter(3),
        "size": inversion_size(),
    }
    presets = {"paper": {"depth": 4}}

    def run(self, model, p, generators, frame):
        part = torch.linspace(0, 1, p.count, device=model.device).view(-1, 1, 1, 1)

        def walk(first, last):
            return ((1 - part) * first[:, None] + part * last[:, None]).flatten(0, 1)

        faded = walk(p.picture, p.other)
        z = walk(*(model.maps(x, p.depth)[-1] for x in (p.picture, p.other)))
        yield frame(0, 1, faded, feature_error(model, faded, z, p.depth), faded)
        x = model.decoder(z, p.depth)
        yield frame(1, 1, x, feature_error(model, x, z, p.depth), faded)
