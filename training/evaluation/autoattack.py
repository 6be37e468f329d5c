"""How often a checkpoint is right under AutoAttack (Croce & Hein 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.classifier import Classifier
from training.evaluation.accuracy import accuracy_table, proportions, radii, random_part
from training.evaluation.base import EPSILON, Measure
from training.evaluation.report import read
from training.intervals import proportion

STANDARD = ("apgd-ce", "apgd-t", "fab-t", "square")
"""The attacks of AutoAttack's standard version."""


class AutoAttack(Measure):
    name = "autoattack"
    order = 2
    key = "accuracy"
    accumulates = True
    help = "accuracy under AutoAttack, which needs pyautoattack"
    count = 1000
    options = EPSILON | {
        "--attacks": {
            "nargs": "+",
            "choices": STANDARD,
            "default": STANDARD,
            "help": "attacks of AutoAttack (default: its standard four)",
        },
        "--skip": {
            "type": int,
            "default": 0,
            "help": "attack only the pictures after these, of which evaluation.json has the result already",
        },
    }

    def measure(self, model, data, *, count=None, accelerator, epsilon=None, attacks=STANDARD, batch=64, skip=0):
        """Accuracy on ``data`` under all ``attacks`` at each L2 ``epsilon``: {name: {value, count, interval}}.

        Fewer attacks than the standard four are in the name. skip: a multiple of ``batch``; the first pictures, whose
        figures are taken from the checkpoint's evaluation.json, so that hours of attacks can be run in parts.
        ValueError if pyautoattack is not installed, or if there are no figures of just so many pictures.
        """
        try:
            import pyautoattack
        except ImportError:
            raise ValueError("measure: expected pyautoattack to be installed for autoattack, it is not") from None
        epsilons, data = radii(model, epsilon), random_part(data, count)
        kind = "autoattack" if set(attacks) == set(STANDARD) else "+".join(attacks)
        names = [f"{kind}_l2_{epsilon:g}" for epsilon in epsilons]
        known = _known(model, names, skip)
        if skip % batch or skip >= len(data):
            raise ValueError(f"skip: expected a multiple of {batch} below {len(data)}, got {skip}")
        data = data.subset(torch.arange(skip, len(data)))
        # The package takes views of gradients, which only the standard memory layout allows.
        model = model.inference_copy().to(accelerator.device, memory_format=torch.contiguous_format)
        version = {} if kind == "autoattack" else {"version": "custom", "attacks": list(attacks)}

        def count_correct(x: Tensor, y: Tensor) -> list[int]:
            with torch.no_grad():
                correct = model(x).argmax(1) == y
            counts = []
            for epsilon in epsilons:
                if correct.any():
                    attack = pyautoattack.AutoAttack(
                        model, norm="L2", eps=epsilon, seed=0, device=accelerator.device, **version
                    )
                    moved, _ = attack.run_standard_evaluation(x[correct].contiguous(), y[correct], batch_size=batch)
                    with torch.no_grad():
                        correct[correct.clone()] = model(moved).argmax(1) == y[correct]
                counts.append(int(correct.sum()))
            return counts

        figures = proportions(names, count_correct, model, data, batch, accelerator)
        return {name: _together(known[name], figure) if skip else figure for name, figure in figures.items()}

    def card_section(self, figures):
        figures = {name: one for name, one in figures.items() if not name.startswith(("clean", "pgd"))}
        note = "The attacks are those of pyautoattack. Where a row names single attacks, only these were run."
        return ["### Accuracy under AutoAttack", accuracy_table(figures), note] if figures else []


def _known(model: Classifier, names: list[str], skip: int) -> dict[str, dict]:
    """The figures ``names`` of the first ``skip`` pictures, none without any."""
    if not skip:
        return {}
    figures = {} if model.folder is None else read(model.folder).get(AutoAttack.key, {})
    for name in names:
        if (count := figures.get(name, {}).get("count", 0)) != skip:
            raise ValueError(f"skip: expected {count}, of so many pictures {name} is known, got {skip}")
    return figures


def _together(first: dict, second: dict) -> dict:
    """Two figures of different pictures as one."""
    right = sum(round(one["value"] * one["count"]) for one in (first, second))
    return proportion(right, first["count"] + second["count"])
