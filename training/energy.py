"""Second stage of dual adversarial training (arXiv 2510.13872): class logits that tell real pictures from made ones.

A robust classifier's logit rises along natural-looking paths, but does not stop at natural pictures. Here pictures are
driven up the logit, and a binary cross-entropy lowers it there and raises it on real ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.classifier import Classifier
from synth.constraints import L2
from synth.objectives import logit
from synth.pgd import pgd

MEMORY = 1000
"""Pictures whose scores decide whether the negatives may climb further."""


class Curriculum:
    """How many steps the negatives climb: one more whenever real pictures are told from them well enough.

    auc: the area under the ROC curve over the last MEMORY pictures that must be reached; most: the last length.
    """

    def __init__(self, auc: float, most: int, steps: int = 0, real: list[float] = (), made: list[float] = ()):
        self.auc, self.most, self.steps = auc, most, steps
        self.real, self.made = list(real), list(made)

    def add(self, real: Tensor, made: Tensor) -> None:
        """Note the scores (N,) of real pictures and of negatives; perhaps lengthen the climb."""
        self.real, self.made = (self.real + real.tolist())[-MEMORY:], (self.made + made.tolist())[-MEMORY:]
        if len(self.real) >= MEMORY and self.steps < self.most and self.area() >= self.auc:
            self.steps, self.real, self.made = self.steps + 1, [], []

    def area(self) -> float:
        """The probability that a real picture scores higher than a negative, ties counting half; 0.5 if unknown."""
        if not self.real:
            return 0.5
        difference = torch.tensor(self.real)[:, None] - torch.tensor(self.made)
        return ((difference > 0).float() + 0.5 * (difference == 0).float()).mean().item()

    def facts(self) -> dict:
        """What a save must hold; ``Curriculum(auc, most, **facts)`` continues."""
        return {"steps": self.steps, "real": self.real, "made": self.made}


def climb(model: Classifier, start: Tensor, labels: Tensor, steps: int, step_size: float) -> Tensor:
    """``start`` (N, 3, S, S) after ``steps`` unit steps up the logit of ``labels`` (N,), with no ball round it."""
    return pgd(logit(model, labels), start, L2(), steps=steps, step_size=step_size)


def scores(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of ``labels`` (N,): minus the energy of picture and class together."""
    return logits.float().gather(1, labels[:, None]).squeeze(1)


def loss(real: Tensor, made: Tensor) -> Tensor:
    """Binary cross-entropy of scores (N,) of real pictures against scores of negatives, summed over both."""
    return F.softplus(-real).mean() + F.softplus(made).mean()
