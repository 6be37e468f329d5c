"""Adding detail to a small picture."""

import torch
import torch.nn.functional as F

from synth import metrics, pictures
from synth.constraints import L2, SameMean
from synth.multiscale import enlarge
from synth.objectives import consistency
from synth.parameters import Choice, ClassName, Float, Picture
from synth.tasks.synthesis import Problem, Synthesis, class_loss, class_objective, class_or_predicted, optimisation


class SuperResolution(Synthesis):
    """Add detail to a small picture: enlarge it, then accentuate what its class looks like.

    Section 3.4 and equation 4 of Santurkar et al. 2019; consistency with the input is our addition.
    """

    name = "super_resolution"
    title = "Super-resolve"
    order = 4
    equation = r"\hat x_H = \arg\min_{\|x' - \uparrow(x_L)\| < \varepsilon} \mathcal{L}(x', y)"
    parameters = {
        "picture": Picture(help="The small picture; a larger one is shrunk first."),
        "class_name": ClassName(help="What the picture shows.", optional=True, blank="what the model sees"),
        "factor": Choice(default=4, options=(2, 4, 8), help="How many times larger the result is."),
        **optimisation(epsilon=2, steps=40, step_size=0.1),
        **class_objective(),
        "lam": Float(
            default=1,
            minimum=0,
            maximum=1000,
            step=1,
            help="Lambda: how strongly soft consistency holds the input.",
        ),
        "upsampling": Choice(
            default="bicubic",
            options=("bicubic", "nearest"),
            more=True,
            help="How the small picture is enlarged at the start.",
        ),
        "consistency": Choice(
            default="hard",
            options=("hard", "soft", "none"),
            more=True,
            help="Shrunk again, the result equals the input, is pulled towards it, or is free (the paper's).",
        ),
    }
    presets = {
        "paper": {
            "epsilon": 15, "steps": 50, "step_size": 1, "objective": "cross-entropy", "jitter": 0,
            "upsampling": "nearest", "consistency": "none",
        }
    }  # fmt: skip

    def picture_size(self, model, values):
        return max(1, model.image_size // values["factor"])

    def problem(self, model, p, generators):
        start = enlarge(p.picture, p.factor, p.upsampling)
        labels = class_or_predicted(model, p.class_name, start)
        loss, ball = class_loss(model, labels, p, generators), L2(p.epsilon)
        if p.consistency == "hard":
            constraint = SameMean(ball, p.picture, p.factor)
            return Problem(loss, constraint.match(start), constraint)
        if p.consistency == "soft":
            loss = loss + p.lam * start[0].numel() * consistency(p.picture, lambda x: F.avg_pool2d(x, p.factor))
        return Problem(loss, start, ball)

    def baseline(self, values: dict) -> torch.Tensor:
        """The bicubic enlargement of the small picture in checked ``values``, (N, 3, S, S)."""
        return enlarge(values["picture"], values["factor"], "bicubic")

    def compare(self, frame, original):
        """Beside bicubic enlargement.

        An ``original`` that is smaller than the result, or that was such a one enlarged pixel by pixel, is none.
        """
        values, size = frame.settings, frame.pictures.shape[-1]
        images = pictures.read_all(original)
        truth = pictures.to_tensor(images, size)
        blocks = enlarge(values["picture"], values["factor"], "nearest")
        if min(min(image.size) for image in images) < size or torch.allclose(truth, blocks):
            return None
        return metrics.table({"ours": frame.pictures, "bicubic": self.baseline(values)}, truth)
