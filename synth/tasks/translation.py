"""Turning a picture of one class into another."""

from synth.constraints import L2
from synth.multiscale import coarse_parameter, size_parameter
from synth.parameters import ClassName, Picture
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, class_or_predicted, optimisation


class Translation(Synthesis):
    """Turn a picture into one of another class, keeping its pose and setting.

    Section 3.3 of Santurkar et al. 2019.
    """

    name = "translation"
    title = "Translate"
    order = 3
    shows_target = True
    equation = r"x = \arg\min_{\|x' - x_0\|_2 \le \varepsilon} \mathcal{L}(x', y_\text{target})"
    parameters = {
        "picture": Picture(help="The picture to change."),
        "class_name": ClassName(help="What it should become."),
        "size": size_parameter(),
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
        return Problem(class_loss(model, labels, p, generators), p.picture, L2(p.epsilon))
