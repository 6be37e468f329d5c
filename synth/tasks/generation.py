"""Class-conditional generation."""

import torch

from synth import start
from synth.constraints import L2
from synth.multiscale import size_parameter
from synth.parameters import Choice, ClassName, Float, Int
from synth.tasks.base import Problem, Synthesis, class_loss, class_objective, optimisation


class Generation(Synthesis):
    """New pictures of a class: a random seed drawn like the class's pictures, then steps up the class's score.

    Section 3.1 of Santurkar et al. 2019.
    """

    name = "generation"
    title = "Generate"
    equation = r"x = \arg\min_{\|x' - x_0\|_2 \le \varepsilon} \mathcal{L}(x', y), \quad x_0 \sim \mathcal{G}_y"
    parameters = {
        "class_name": ClassName(help="What to make.", optional=True, blank="every class in turn", every=True),
        "count": Int(default=8, minimum=1, maximum=64, help="How many pictures."),
        "size": size_parameter(),
        **optimisation(epsilon=8, steps=40, step_size=0.25),
        **class_objective(),
        "start": Choice(
            default="gaussian",
            options=start.KINDS,
            more=True,
            help="What the random seeds are drawn from.",
        ),
        "start_scale": Float(
            default=1,
            minimum=0,
            maximum=2,
            more=True,
            help="How far seeds vary from their class's mean.",
        ),
    }
    presets = {
        "paper": {
            "epsilon": 30, "steps": 60, "step_size": 0.5, "objective": "cross-entropy", "jitter": 0,
            "start": "gaussian", "start_scale": 1,
        }
    }  # fmt: skip

    def problem(self, model, p, generators):
        if p.class_name is None:
            labels = torch.arange(p.count) % len(model.classes)
        else:
            labels = torch.full((p.count,), p.class_name)
        seeds = model.seeds(p.start, labels, scale=p.start_scale, generator=generators)
        labels = labels.to(model.device)
        return Problem(class_loss(model, labels, p, generators), seeds, L2(p.epsilon))
