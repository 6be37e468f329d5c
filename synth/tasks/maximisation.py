"""Maximising class scores."""

import torch

from synth.constraints import L2
from synth.parameters import ClassName, Picture
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, class_or_predicted, optimisation


class Maximisation(Synthesis):
    """Push any picture as far towards a class as it goes, to see what the model takes the class to be.

    Figure 2 and appendix A.5 of Santurkar et al. 2019.
    """

    name = "maximisation"
    title = "Maximise"
    order = 7
    equation = r"x = \arg\min_{\|x' - x_0\|_2 \le \varepsilon} \mathcal{L}(x', y) \text{ for each } y"
    parameters = {
        "picture": Picture(help="Where to start from."),
        "class_name": ClassName(help="The class to push towards.", optional=True, blank="each class", every=True),
        **optimisation(epsilon=20, steps=100, step_size=0.3, largest=400),
        **class_objective(),
    }
    presets = {"paper": {"epsilon": 300, "steps": 500, "step_size": 1, "objective": "cross-entropy", "jitter": 0}}

    def problem(self, model, p, generators):
        if p.class_name is None:
            start = p.picture.repeat_interleave(len(model.classes), 0)
            labels = torch.arange(len(model.classes), device=model.device).repeat(len(p.picture))
        else:
            start, labels = p.picture, class_or_predicted(model, p.class_name, p.picture)
        return Problem(class_loss(model, labels, p, generators), start, L2(p.epsilon))
