"""From a sketch to a picture."""

import math

from torchvision.transforms.functional import gaussian_blur

from synth.constraints import L2
from synth.multiscale import coarse_parameter, size_parameter
from synth.parameters import ClassName, Float, Picture
from synth.randomness import draw
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, class_or_predicted, optimisation


class Sketch(Synthesis):
    """Turn a rough coloured drawing into a picture of a class, keeping its layout.

    Section 3.5 of Santurkar et al. 2019.
    """

    name = "sketch"
    title = "Sketch"
    order = 5
    drawn = True
    equation = r"x = \arg\min_{\|x' - x_\text{sketch}\|_2 \le \varepsilon} \mathcal{L}(x', y)"
    parameters = {
        "picture": Picture(help="The drawing."),
        "class_name": ClassName(help="What it should become."),
        "size": size_parameter(),
        **optimisation(epsilon=10, steps=60, step_size=0.25),
        **class_objective(),
        "coarse_steps": coarse_parameter(),
        "texture": Float(
            default=0.05,
            minimum=0,
            maximum=0.3,
            more=True,
            help="Random grain laid over the flat colours before the first step.",
        ),
        "softness": Float(
            default=0,
            minimum=0,
            maximum=8,
            step=0.5,
            more=True,
            help="How far the drawing's hard edges are blurred at first, in pixels, so that they are drawn anew.",
        ),
    }
    presets = {
        "paper": {"epsilon": 40, "steps": 60, "step_size": 1, "objective": "cross-entropy", "jitter": 0, "texture": 0}
    }

    def target_class(self, model, example):
        return example

    def problem(self, model, p, generators):
        grain, drawing = draw(p.picture, generators), p.picture
        if p.softness:
            drawing = gaussian_blur(drawing, 2 * math.ceil(3 * p.softness) + 1, p.softness)
        start = (drawing + p.texture * grain).clamp(0, 1)
        labels = class_or_predicted(model, p.class_name, start)
        return Problem(class_loss(model, labels, p, generators), start, L2(p.epsilon))
