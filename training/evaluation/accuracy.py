"""How often a checkpoint is right, on clean pictures and under PGD-20."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from synth.classifier import Classifier
from synth.constraints import L2
from synth.pgd import pgd
from training.data import Pictures
from training.evaluation.base import EPSILON, Measure
from training.intervals import proportion
from training.processes import spread
from training.tables import table

STEPS = 20
"""Attack steps, each of the length 2.5 * epsilon / STEPS, from the picture itself, as MadryLab/robustness evaluates."""


class Accuracy(Measure):
    name = "accuracy"
    order = 1
    accumulates = True
    help = "accuracy on clean pictures and under PGD-20"
    count = None
    options = EPSILON

    def measure(self, model, data, *, count=None, accelerator, epsilon=None, batch=128):
        """Accuracy on ``data``, clean and under PGD-20 at each L2 ``epsilon``: {name: {value, count, interval}}.

        The attack succeeds on a picture if the model misclassifies it at any step, or at a smaller epsilon (the smaller
        ball lies inside the larger one), so the figures err on the low side. Where the classes have superclasses, there
        is also "clean_superclass", how often the superclass is right. Processes share the pictures.
        """
        epsilons, data = radii(model, epsilon), random_part(data, count)
        model = model.inference_copy().to(accelerator.device)
        groups = model.group_numbers

        def count_correct(x: Tensor, y: Tensor) -> list[int]:
            with torch.no_grad():
                predicted = model(x).argmax(1)
            correct = predicted == y
            counts = [int((groups[predicted] == groups[y]).sum())] if model.groups else []
            counts.append(int(correct.sum()))
            for epsilon in epsilons:
                correct[correct.clone()] = survivors(model, x[correct], y[correct], epsilon)
                counts.append(int(correct.sum()))
            return counts

        names = ["clean_superclass"] if model.groups else []
        names += ["clean", *(f"pgd{STEPS}_l2_{epsilon:g}" for epsilon in epsilons)]
        return proportions(names, count_correct, model, data, batch, accelerator)

    def card_section(self, figures):
        return [
            "### Accuracy",
            accuracy_table({name: one for name, one in figures.items() if name.startswith(("clean", "pgd"))}),
            f"PGD-{STEPS} takes {STEPS} steps of 2.5 epsilon / {STEPS} along the gradient of the cross-entropy, from "
            "the picture itself. The attack succeeds if the classifier misclassifies the picture at any step.",
        ]


def survivors(model: Classifier, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    """Which pictures (N, 3, H, W) are still classified as ``y`` (N,) after every step of the attack: (N,) bool."""
    index = torch.arange(len(x), device=x.device)
    moved, chunk = x, STEPS // 4
    for _ in range(4):  # the attack has no memory, so misclassified pictures can leave it on the way
        wrong = torch.zeros(len(index), dtype=torch.bool, device=x.device)
        loss = partial(_loss_noting_errors, model, y[index], wrong)
        settings = dict(center=x[index], steps=chunk, step_size=2.5 * epsilon / STEPS)
        moved = pgd(loss, moved, L2(epsilon), **settings)
        with torch.no_grad():
            loss(moved)
        index, moved = index[~wrong], moved[~wrong]
        if not len(index):
            break
    result = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    result[index] = True
    return result


def radii(model: Classifier, epsilon: list[float] | None) -> list[float]:
    """The L2 radii in order, by default 0.25, 0.5 and 1 for 32 pixels; ValueError unless they are positive."""
    radii = sorted(epsilon or [radius * model.image_size / 32 for radius in (0.25, 0.5, 1)])
    if not all(0 < radius < float("inf") for radius in radii):
        raise ValueError(f"epsilon: expected positive numbers, got {radii}")
    return radii


def random_part(data: Pictures, count: int | None) -> Pictures:
    """All pictures, or ``count`` random ones."""
    if count is None or count >= len(data):
        return data
    return data.subset(torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:count])


def proportions(
    names: list[str],
    count_correct: Callable[[Tensor, Tensor], list[int]],
    model: Classifier,
    data: Pictures,
    batch: int,
    accelerator: Accelerator,
) -> dict[str, dict]:
    """{name: {value, count, interval}} from ``count_correct`` of each batch of pictures and labels, one per name."""

    def work(begin: int) -> list[int]:
        return count_correct(*(part.to(accelerator.device) for part in data[slice(begin, begin + batch)]))

    begins = list(range(0, len(data), batch))
    counts, _ = spread(work, begins, accelerator=accelerator, title=model.name, full_precision=True)
    totals = [sum(column) for column in zip(*counts, strict=True)]
    return {name: proportion(total, len(data)) for name, total in zip(names, totals, strict=True)}


def accuracy_table(figures: dict) -> str:
    rows = []
    for name, figure in sorted_accuracies(figures):
        low, high = figure["interval"]
        rows.append([title(name), f"{figure['value']:.2%}", f"{low:.2%} to {high:.2%}", f"{figure['count']:,}"])
    return table(["", "value", "95 % interval", "test pictures"], rows)


def sorted_accuracies(figures: dict) -> list[tuple[str, dict]]:
    """Clean first, then by attack and radius."""

    def place(item: tuple[str, dict]) -> tuple:
        attack, _, epsilon = item[0].partition("_l2_")
        return not attack.startswith("clean"), not attack.startswith("pgd"), attack, float(epsilon or 0)

    return sorted(figures.items(), key=place)


def title(name: str) -> str:
    """The name of an accuracy in words."""
    if name.startswith("clean"):
        return "clean accuracy" + (" of the superclass" if name == "clean_superclass" else "")
    attack, _, epsilon = name.partition("_l2_")
    attack = {"pgd20": "PGD-20", "autoattack": "AutoAttack"}.get(attack, attack.upper())
    return f"accuracy under {attack}, L2 {epsilon}"


def _loss_noting_errors(model, y: Tensor, wrong: Tensor, x: Tensor) -> Tensor:
    logits = model(x)
    wrong |= logits.argmax(1) != y
    return -F.cross_entropy(logits, y, reduction="none")
