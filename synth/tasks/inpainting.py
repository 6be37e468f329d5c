"""Filling a hole."""

import torch
import torch.nn.functional as F

from synth import metrics
from synth.constraints import L2, Inside, softened
from synth.multiscale import coarse_parameter
from synth.objectives import keep, resemblance, smoothed
from synth.parameters import Choice, ClassName, Float, Mask, Picture
from synth.photographs import extent_parameter
from synth.randomness import Generators, Randomness, draw
from synth.tasks.synthesis import (
    Problem,
    Synthesis,
    class_loss,
    class_objective,
    class_or_predicted,
    detail_parameter,
    optimisation,
)

BLURS = 32
"""At each size, until a fill has settled."""


class Inpainting(Synthesis):
    """Fill the masked part of a picture so that the whole looks like its class.

    Section 3.2 and equation 3 of Santurkar et al. 2019, after the fill of appendix A.8; resemblance is our addition.
    """

    name = "inpainting"
    title = "Inpaint"
    order = 2
    first_setting = "detail"
    equation = (
        r"\hat x = \arg\min_{\|x' - x\|_2 \le \varepsilon} \mathcal{L}(x', y) + \lambda \|(x - x') \odot (1 - m)\|_2"
    )
    parameters = {
        "picture": Picture(help="The picture with a part to replace."),
        "mask": Mask(help="White where to fill.", optional=True, blank="a random square"),
        "class_name": ClassName(help="What the picture shows.", optional=True, blank="what the model sees"),
        "extent": extent_parameter(),
        "detail": detail_parameter(),
        **optimisation(epsilon=8, steps=60, step_size=0.15),
        **class_objective(),
        "coarse_steps": coarse_parameter(),
        "resemblance": Float(
            default=0,
            minimum=0,
            maximum=1000,
            step=1,
            help="How much the filling takes after what lies around it, against the class; much removes things.",
        ),
        "lam": Float(
            default=10,
            minimum=0,
            maximum=1000,
            step=1,
            help="Lambda: how strongly the rest of the picture is held when it may move.",
        ),
        "outside": Choice(
            default="exact",
            options=("exact", "penalty"),
            more=True,
            help="Never touch the rest of the picture, or only penalise changes (the paper's).",
        ),
        "fill": Choice(
            default="surroundings",
            options=("surroundings", "mean", "noise"),
            more=True,
            help="What the hole holds at the start.",
        ),
    }
    presets = {
        "paper": {
            "epsilon": 21.6, "steps": 720, "step_size": 0.1, "objective": "cross-entropy", "jitter": 0,
            "lam": 10, "outside": "penalty", "fill": "mean",
        }
    }  # fmt: skip

    def problem(self, model, p, generators):
        mask = self.default_mask(p.picture, generators) if p.mask is None else p.mask
        start = fill_hole(p.picture, mask, p.fill, generators)
        labels = class_or_predicted(model, p.class_name, start)
        loss, ball = class_loss(model, labels, p, generators), L2(p.epsilon)
        if p.resemblance:
            loss = loss + p.resemblance * smoothed(resemblance(model, mask), p.smoothing)
        if p.outside == "exact":
            return Problem(loss, start, Inside(ball, softened(mask)))
        return Problem(loss + p.lam * keep(start, 1 - mask), start, ball)

    def default_mask(self, picture, generators):
        return torch.cat([random_square(picture.shape[-1], generators[i]) for i in range(len(picture))]).to(picture)

    def shown_start(self, frame):
        """With a grey hole."""
        mask = frame.settings.get("mask")
        if mask is None:
            mask = self.default_mask(frame.start, Generators(frame.settings["seed"]))
        return torch.where(mask > 0, 0.5, frame.start)

    def hole(self, values: dict) -> torch.Tensor:
        """The mask (N, 1, S, S) of checked ``values``, or the random square that a run draws for them."""
        picture, mask = values["picture"], values["mask"]
        mask = self.default_mask(picture, Generators(values["seed"])) if mask is None else mask
        return mask.expand(len(picture), -1, -1, -1)

    def baseline(self, values: dict) -> torch.Tensor:
        """The picture (N, 3, S, S) of checked ``values`` with the smooth fill in the hole."""
        return fill_hole(values["picture"], self.hole(values))

    def compare(self, frame, original):
        """Beside the smooth fill; the rows hold "psnr_hole" too."""
        values = frame.settings
        rows = {"ours": frame.pictures, "smooth fill": self.baseline(values)}
        return metrics.table(rows, values["picture"], self.hole(values))


def random_square(size: int, generator: torch.Generator) -> torch.Tensor:
    """A mask (1, 1, size, size) of a square three eighths of the side wide, anywhere inside."""
    side = max(1, round(size * 3 / 8))
    top, left = torch.randint(0, size - side + 1, (2,), generator=generator).tolist()
    mask = torch.zeros(1, 1, size, size)
    mask[..., top : top + side, left : left + side] = 1
    return mask


def fill_hole(
    picture: torch.Tensor, mask: torch.Tensor, fill: str = "surroundings", generator: Randomness = None
) -> torch.Tensor:
    """Pictures (N, 3, H, W) with their holes filled: by channel means, grown-in surroundings, or noise.

    mask: (N or 1, 1, H, W), 1 in the hole.
    """
    if fill == "surroundings":
        hole = grown(picture, 1 - mask)
    else:
        hole = mean_of(picture, 1 - mask).expand_as(picture)
        hole = hole + 0.2 * draw(picture, generator) if fill == "noise" else hole
    return torch.where(mask > 0, hole, picture).clamp(0, 1)


def mean_of(picture: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """The channel means (N, 3, 1, 1) of what is known."""
    return (picture * known).sum((2, 3), keepdim=True) / known.sum((2, 3), keepdim=True).clamp_min(1)


def halved(x: torch.Tensor) -> torch.Tensor:
    """Means of 2 x 2 pixels, at the last row and column of those that there are."""
    return F.avg_pool2d(x, 2, ceil_mode=True, count_include_pad=False)


def grown(picture: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """``picture`` (N, 3, H, W) with nearly the harmonic fill where ``known`` (N or 1, 1, H, W) is 0.

    That is the smoothest fill that meets the rim; it is found at half the size first, and blurred into place.
    """
    filled = mean_of(picture, known)
    if min(picture.shape[2:]) > 4:
        part = halved(known)
        small = halved(picture * known) / part.clamp_min(1e-6)
        filled = F.interpolate(grown(small, (part > 0).to(part)), picture.shape[2:], mode="bilinear")
    filled = torch.where(known > 0, picture, filled)
    for _ in range(BLURS):
        blurred = F.avg_pool2d(F.pad(filled, [1] * 4, mode="replicate"), 3, stride=1)
        filled = torch.where(known > 0, picture, blurred)
    return filled
