"""Second stage of dual adversarial training (arXiv 2510.13872): class logits that distinguish real from fake pictures.

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

BATCH = "batch"
"""What ``TrainConfig.negatives`` says for pictures of the training batch itself, which are to change their class."""
MEMORY = 1000
"""Pictures whose scores decide whether the negatives may climb further."""


class Curriculum:
    """How many steps the negatives climb: one more whenever real pictures are distinguished from them well enough.

    auc: the area under the ROC curve over the last MEMORY pictures that must be reached; most: the last length.
    """

    def __init__(self, auc: float, most: int):
        self.auc, self.most = auc, most
        self.steps, self.real, self.fake = 0, [], []

    def add(self, real: Tensor, fake: Tensor) -> None:
        """Note the scores (N,) of real pictures and of negatives; perhaps lengthen the climb."""
        self.real, self.fake = (self.real + real.tolist())[-MEMORY:], (self.fake + fake.tolist())[-MEMORY:]
        if len(self.real) >= MEMORY and self.steps < self.most and self.area() >= self.auc:
            self.steps, self.real, self.fake = self.steps + 1, [], []

    def area(self) -> float:
        """The probability that a real picture scores higher than a negative, ties counting half; 0.5 if unknown."""
        if not self.real:
            return 0.5
        difference = torch.tensor(self.real)[:, None] - torch.tensor(self.fake)
        return ((difference > 0).float() + 0.5 * (difference == 0).float()).mean().item()

    def facts(self) -> dict:
        """What a save must hold for ``restore``."""
        return {"steps": self.steps, "real": self.real, "made": self.fake}

    def restore(self, facts: dict) -> None:
        self.steps, self.real, self.fake = facts["steps"], facts["real"], facts["made"]


def draw(
    model: Classifier, elsewhere: Tensor | None, count: int, side: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, S, S) that negatives begin as, S = ``side``, and classes (N,) whose logits they are to climb.

    Half are starts of synthesis, half pictures of ``elsewhere`` (uint8) if there are any.
    """
    labels = torch.randint(len(model.classes), (count,), generator=generator)
    half = count if elsewhere is None else count // 2
    pictures = at_side(model.sample_start("mixture", labels[:half], generator=generator).cpu(), side)
    if elsewhere is not None:
        others = elsewhere[torch.randint(len(elsewhere), (count - half,), generator=generator)].float() / 255
        pictures = torch.cat([pictures, at_side(others, side)])
    return pictures, labels


def turn(starts: Tensor, sought: Tensor, pictures: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    """What ``draw`` returned, where every other start (N, 3, S, S) is one of ``pictures`` that is to change its class.

    Such a negative has the sharpness of real pictures from its first step on. sought, labels: (N,).
    """
    own = torch.arange(len(labels)) % 2 == 1
    others = (labels + 1 + sought % (classes - 1)) % classes
    return torch.where(own[:, None, None, None], pictures, starts), torch.where(own, others, sought)


@torch.no_grad()
def middle(model: Classifier, real: Tensor, labels: Tensor, fake: Tensor, sought: Tensor) -> Tensor:
    """The middle between the mean scores of ``real`` and of ``fake`` (N, 3, S, S), to take from all logits alike.

    No class gains by that. Without it the first steps would spend themselves on the shift and bend the features.
    """
    means = [scores(model(x), wanted).mean() for x, wanted in ((real, labels), (fake, sought))]
    return (means[0] + means[1]) / 2


def climb(model: Classifier, start: Tensor, labels: Tensor, steps: int, step_size: float) -> Tensor:
    """``start`` (N, 3, S, S) after ``steps`` unit steps up the logit of ``labels`` (N,), with no ball around it."""
    return pgd(logit(model, labels), start, L2(), steps=steps, step_size=step_size)


def scores(logits: Tensor, labels: Tensor) -> Tensor:
    """The logit of ``labels`` (N,): minus the energy of picture and class together."""
    return logits.float().gather(1, labels[:, None]).squeeze(1)


def loss(real: Tensor, fake: Tensor) -> Tensor:
    """Binary cross-entropy of scores (N,) of real pictures against scores of negatives, summed over both."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def at_side(x: Tensor, side: int) -> Tensor:
    """Pictures (N, 3, S, S) with S = ``side``."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
