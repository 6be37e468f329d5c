"""Maximising class scores."""

import torch

from synth.constraints import L2
from synth.parameters import ClassName, Picture
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, optimisation


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
        labels = torch.arange(len(model.classes)) if p.class_name is None else torch.tensor([p.class_name])
        labels = labels.to(model.device)
        start = p.picture.expand(len(labels), -1, -1, -1)
        return Problem(class_loss(model, labels, p, generators), start, L2(p.epsilon))
