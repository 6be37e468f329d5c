"""Painting with the classifier's features."""

from PIL import Image, ImageDraw

from synth import pictures
from synth.constraints import L2, Inside, softened
from synth.multiscale import coarse_parameter
from synth.objectives import activation, keep
from synth.parameters import Choice, FeatureIndex, Float, Mask, Picture
from synth.photographs import extent_parameter
from synth.tasks.synthesis import Problem, Synthesis, augment_view, optimisation


class Painting(Synthesis):
    """Paint something that the classifier looks for, such as a dog's face or a roof, into the masked part of a picture.

    Section 3.5 and equation 5 of Santurkar et al. 2019.
    """

    name = "painting"
    title = "Paint features"
    order = 6
    renamed = {"unit": "feature"}
    equation = r"x_I = \arg\max_{x'} R(x')_f - \lambda_P \|(x - x') \odot (1 - m)\|"
    parameters = {
        "picture": Picture(help="The picture to paint on."),
        "mask": Mask(help="White where to paint.", optional=True, blank="a disc low in the picture"),
        "feature": FeatureIndex(help="Which feature: a number of the classifier, computed before it names a class."),
        "extent": extent_parameter(),
        **optimisation(epsilon=4, steps=40, step_size=0.12),
        "coarse_steps": coarse_parameter(),
        "strength": Float(
            default=1, minimum=0.01, maximum=100, step=0.1, more=True, help="Weight of the feature against lambda."
        ),
        "lam": Float(
            default=90,
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
    }
    presets = {
        "paper": {
            "epsilon": 70,
            "steps": 140,
            "step_size": 1,
            "strength": 0.1,
            "lam": 90,
            "jitter": 0,
            "outside": "penalty",
        }
    }

    def problem(self, model, p, generators):
        loss, ball = p.strength * augment_view(activation(model, p.feature), p, generators), L2(p.epsilon)
        mask = self.default_mask(p.picture, generators) if p.mask is None else p.mask
        if p.outside == "exact":
            return Problem(loss, p.picture, Inside(ball, softened(mask)))
        return Problem(loss + p.lam * keep(p.picture, 1 - mask), p.picture, ball)

    def default_mask(self, picture, generators):
        disc = Image.new("L", (448, 448))  # drawn finely, then shrunk like any mask
        ImageDraw.Draw(disc).ellipse((104, 144, 404, 444), fill=255)
        return pictures.to_mask(disc, picture.shape[-1]).to(picture)
