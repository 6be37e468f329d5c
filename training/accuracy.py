"""How often a checkpoint is right: on clean pictures, under PGD-20, under AutoAttack."""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from tqdm import tqdm

from synth.classifier import Classifier
from synth.constraints import L2
from synth.pgd import pgd
from training.data import Pictures
from training.intervals import proportion

STEPS = 20
"""Attack steps; each 2.5 * epsilon / STEPS long, from the picture itself, as MadryLab/robustness evaluates."""
STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
"""The attacks of AutoAttack's standard version (Croce & Hein 2020)."""


def under_pgd(
    model: Classifier, data: Pictures, epsilons: list[float], *, accelerator: Accelerator, batch: int = 128
) -> dict[str, dict]:
    """Accuracy on ``data``, clean and under PGD-20 at each L2 epsilon: {name: {value, count, interval}}.

    A picture counts as fooled if it is misread at any step of the attack, or at a smaller epsilon (the smaller ball
    lies inside the larger), so figures err on the low side. Where the classes have superclasses, also
    "clean_superclass", how often the superclass is right. Processes share the pictures; all get the figures.
    """
    epsilons = sorted(epsilons)
    model = model.inference_copy().to(accelerator.device)
    groups = model.group_numbers
    right = []
    for x, y in _share(data, batch, accelerator, model):
        with torch.no_grad():
            guess = model(x).argmax(1)
        kept = guess == y
        grouped = [int((groups[guess] == groups[y]).sum())] if model.groups else []
        right.append([*grouped, int(kept.sum())])
        for epsilon in epsilons:
            kept[kept.clone()] = survivors(model, x[kept], y[kept], epsilon)
            right[-1].append(int(kept.sum()))
    clean = ["clean_superclass", "clean"] if model.groups else ["clean"]
    names = clean + [f"pgd{STEPS}_l2_{epsilon:g}" for epsilon in epsilons]
    return _figures(names, right, len(data))


def under_autoattack(
    model: Classifier,
    data: Pictures,
    epsilons: list[float],
    *,
    accelerator: Accelerator,
    attacks: tuple[str, ...] = STANDARD,
    batch: int = 64,
) -> dict[str, dict]:
    """Accuracy under AutoAttack at each L2 epsilon: {name: {value, count, interval}}, a picture fooled by any attack.

    Fewer ``attacks`` than the standard four are in the name. ValueError if pyautoattack is not installed.
    """
    try:
        from pyautoattack import AutoAttack
    except ImportError:
        raise ValueError("measure: expected pyautoattack to be installed for autoattack, it is not") from None
    epsilons = sorted(epsilons)
    # The package takes views of gradients, which only the standard memory layout allows.
    model = model.inference_copy().to(accelerator.device, memory_format=torch.contiguous_format)
    right = []
    for x, y in _share(data, batch, accelerator, model):
        with torch.no_grad():
            kept = model(x).argmax(1) == y
        right.append([])
        for epsilon in epsilons:
            settings = dict(norm="L2", eps=epsilon, seed=0, device=accelerator.device)
            if set(attacks) != set(STANDARD):
                settings |= dict(version="custom", attacks=list(attacks))
            if kept.any():
                moved, _ = AutoAttack(model, **settings).run_standard_evaluation(
                    x[kept].contiguous(), y[kept], batch_size=batch
                )
                with torch.no_grad():
                    kept[kept.clone()] = model(moved).argmax(1) == y[kept]
            right[-1].append(int(kept.sum()))
    kind = "autoattack" if set(attacks) == set(STANDARD) else "+".join(attacks)
    return _figures([f"{kind}_l2_{epsilon:g}" for epsilon in epsilons], right, len(data))


def survivors(model: Classifier, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
    """Which pictures (N, 3, H, W) are still read as ``y`` (N,) after every step of the attack: (N,) bool."""
    standing = torch.arange(len(x), device=x.device)
    moved, chunk = x, STEPS // 4
    for _ in range(4):  # the attack has no memory, so fooled pictures can leave it on the way
        fooled = torch.zeros(len(standing), dtype=torch.bool, device=x.device)
        loss = partial(_loss_and_fooled, model, y[standing], fooled)
        settings = dict(center=x[standing], steps=chunk, step_size=2.5 * epsilon / STEPS)
        moved = pgd(loss, moved, L2(epsilon), **settings)
        with torch.no_grad():
            loss(moved)
        standing, moved = standing[~fooled], moved[~fooled]
        if not len(standing):
            break
    result = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    result[standing] = True
    return result


def _loss_and_fooled(model, y: Tensor, fooled: Tensor, x: Tensor) -> Tensor:
    logits = model(x)
    fooled |= logits.argmax(1) != y
    return -F.cross_entropy(logits, y, reduction="none")


def _share(data: Pictures, batch: int, accelerator: Accelerator, model: Classifier):
    """The batches (x, y) of this process."""
    with accelerator.split_between_processes(list(range(0, len(data), batch))) as begins:
        for begin in tqdm(begins, desc=model.name, mininterval=2, disable=not accelerator.is_local_main_process):
            yield tuple(part.to(accelerator.device) for part in data[slice(begin, begin + batch)])


def _figures(names: list[str], right: list[list[int]], count: int) -> dict[str, dict]:
    totals = [sum(column) for column in zip(*gather_object(right), strict=True)]
    return {name: proportion(total, count) for name, total in zip(names, totals, strict=True)}
