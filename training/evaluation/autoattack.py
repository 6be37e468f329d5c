"""How often a checkpoint is right under AutoAttack (Croce & Hein 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from training.evaluation.accuracy import accuracy_table, proportions, radii, random_part
from training.evaluation.base import EPSILON, Measure

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
        }
    }

    def measure(self, model, data, *, count=None, accelerator, epsilon=None, attacks=STANDARD, batch=64):
        """Accuracy on ``data`` under all ``attacks`` at each L2 ``epsilon``: {name: {value, count, interval}}.

        Fewer attacks than the standard four are in the name. ValueError if pyautoattack is not installed.
        """
        try:
            import pyautoattack
        except ImportError:
            raise ValueError("measure: expected pyautoattack to be installed for autoattack, it is not") from None
        epsilons, data = radii(model, epsilon), random_part(data, count)
        # The package takes views of gradients, which only the standard memory layout allows.
        model = model.inference_copy().to(accelerator.device, memory_format=torch.contiguous_format)
        standard = set(attacks) == set(STANDARD)
        version = {} if standard else {"version": "custom", "attacks": list(attacks)}

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

        kind = "autoattack" if standard else "+".join(attacks)
        names = [f"{kind}_l2_{epsilon:g}" for epsilon in epsilons]
        return proportions(names, count_correct, model, data, batch, accelerator)

    def card_section(self, figures):
        figures = {name: one for name, one in figures.items() if not name.startswith(("clean", "pgd"))}
        note = "The attacks are those of pyautoattack. Where a row names single attacks, only these were run."
        return ["### Accuracy under AutoAttack", accuracy_table(figures), note] if figures else []
