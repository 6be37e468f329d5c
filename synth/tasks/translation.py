"""Turning a picture of one class into another."""

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.classifier import Classifier
from synth.constraints import L2, Inside
from synth.multiscale import coarse_parameter, size_parameter
from synth.parameters import ClassName, Float, Picture
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, class_or_predicted, optimisation

QUIET, LOUD = 0.35, 0.75
"""Parts of the strongest features up to which the model looks at nothing, and from which it looks at something."""


class Translation(Synthesis):
    """Turn a picture into one of another class, keeping its pose and setting.

    Section 3.3 of Santurkar et al. 2019; the focus is our addition.
    """

    name = "translation"
    title = "Translate"
    order = 3
    first_setting = "focus"
    shows_target = True
    equation = r"x = \arg\min_{\|x' - x_0\|_2 \le \varepsilon} \mathcal{L}(x', y_\text{target})"
    parameters = {
        "picture": Picture(help="The picture to change."),
        "class_name": ClassName(help="What it should become."),
        "size": size_parameter(),
        "focus": Float(
            default=0,
            minimum=0,
            maximum=1,
            step=0.05,
            help="How much changes keep to what the model looks at: 0 changes anything, 1 leaves the rest alone.",
        ),
        **optimisation(epsilon=6, steps=60, step_size=0.15),
        **class_objective(),
        "coarse_steps": coarse_parameter(),
    }
    presets = {"paper": {"epsilon": 60, "steps": 80, "step_size": 0.5, "objective": "cross-entropy", "jitter": 0}}

    def target_class(self, model, example):
        """The class that it is paired with, else the next of its group, or of all."""
        alike = model.groups.get(model.group(example), [])
        near = alike if len(alike) > 1 else model.classes
        following = near[(near.index(example) + 1) % len(near)] if example in near else example
        return model.pairs.get(example, following)

    def problem(self, model, p, generators):
        labels = class_or_predicted(model, p.class_name, p.picture)
        loss, ball = class_loss(model, labels, p, generators), L2(p.epsilon)
        if not p.focus:
            return Problem(loss, p.picture, ball)
        return Problem(loss, p.picture, Inside(ball, 1 - p.focus * (1 - looked_at(model, p.picture))))


@torch.no_grad()
def looked_at(model: Classifier, x: Tensor) -> Tensor:
    """Where ``model`` sees something in pictures (N, 3, H, W): (N, 1, H, W), from 0 to 1."""
    lengths = model.feature_map(x).float().square().mean(1, keepdim=True).sqrt()
    return loud(lengths, x.shape[2:])


def loud(lengths: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """What is looked at (N, 1, *size), by the ``lengths`` (N, 1, h, w) of the features at each place of a map."""
    parts = lengths / lengths.amax((2, 3), keepdim=True).clamp_min(1e-12)
    return ((F.interpolate(parts, size, mode="bicubic") - QUIET) / (LOUD - QUIET)).clamp(0, 1)
