"""Taking noise out of a picture."""

import torch

from synth import metrics
from synth.parameters import Float, Picture, seed_parameter
from synth.photographs import extent_parameter
from synth.randomness import draw
from synth.tasks.inversion import Inversion, depth_parameter, feature_error, inversion_size

KEPT = 0.15
"""On training pictures, 0.2 to 0.3 errs least with noise of 25, of 255, and 0.1 with 50."""


class Denoising(Inversion):
    """Clean a noisy picture: robust features leave most of the noise behind, and the decoder redraws the rest.

    Rojas-Gomez et al. 2021; details go round the deeper stages as in wavelet pooling. Mixing a little of the noisy
    picture back in is ours: it errs in other places than the decoder, so that both together err less.
    """

    name = "denoising"
    title = "Denoise"
    order = 10
    equation = r"\hat x = (1 - \kappa)\, G\big(f(x + n)\big) + \kappa\, (x + n), \quad n \sim \mathcal{N}(0, \sigma^2)"
    parameters = {
        "picture": Picture(help="The noisy picture to clean.", shelf="noisy"),
        "sigma": Float(
            default=0,
            minimum=0,
            maximum=100,
            step=1,
            unit="of 255",
            help="Noise to add before, to try it on a picture without any.",
        ),
        "depth": depth_parameter(2),
        "skip": Float(
            default=0.5,
            minimum=0,
            maximum=1,
            help="How much of each stage's finest details goes round the deeper ones; less for more noise.",
        ),
        "kept": Float(
            default=KEPT,
            minimum=0,
            maximum=1,
            help="How much of the noisy picture to mix back in: a little brings back detail, and errs less.",
        ),
        "size": inversion_size(),
        "extent": extent_parameter(),
        "seed": seed_parameter(),
    }
    presets = {"paper": {"depth": 4, "skip": 1, "kept": 0}}

    def run(self, model, p, generators, frame):
        noisy = (p.picture + p.sigma / 255 * draw(p.picture, generators)).clamp(0, 1)
        maps = model.maps(noisy, p.depth)
        yield frame(0, 1, noisy, feature_error(model, noisy, maps[-1], p.depth), noisy)
        x = torch.lerp(model.decoder(maps[-1], p.depth, maps, p.skip), noisy, p.kept)
        yield frame(1, 1, x, feature_error(model, x, maps[-1], p.depth), noisy)

    def compare(self, frame, original):
        """Beside the noisy picture; a picture that came noisy has no original."""
        values = frame.settings
        if not values["sigma"]:
            return None
        return metrics.table({"ours": frame.pictures, "noisy": frame.start}, values["picture"])
