"""Time of one synthesis step: ``python -m bench.step``. Ours against an eager transcription of the published loop.

Same weights, pictures, steps and run; the variants take turns, and the table gives medians and their ratio. The
transcription follows MadryLab/robustness: train-time layers (batch norm unfolded), standard memory layout, the forward
pass that its attacker makes before every custom loss, batch-mean loss scaled back, autograd left on for the weights.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor

import synth
from synth import hub
from synth.constraints import L2
from synth.objectives import cross_entropy
from synth.pgd import pgd


def published(model: torch.nn.Module, x0: Tensor, labels: Tensor, epsilon: float, steps: int, size: float) -> Tensor:
    """The published loop (MadryLab/robustness Attacker.forward with a custom loss), kept to plain eager torch."""
    x = x0.clone()
    for _ in range(steps):
        x = x.clone().detach().requires_grad_(True)
        model(x)  # the attacker always computes the output first; a custom loss then computes its own
        losses = F.cross_entropy(model(x), labels, reduction="none")
        (gradient,) = torch.autograd.grad(losses.mean(), [x])
        with torch.no_grad():
            norm = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            x = x - size * gradient / (norm + 1e-10)
            x = torch.clamp(x0 + (x - x0).renorm(p=2, dim=0, maxnorm=epsilon), 0, 1)
    return x


def ours(engine: torch.nn.Module, x0: Tensor, labels: Tensor, epsilon: float, steps: int, size: float) -> Tensor:
    return pgd(cross_entropy(engine, labels), x0, L2(epsilon), steps=steps, step_size=size)


def compare(model: synth.RobustClassifier, batch: int, steps: int, rounds: int) -> tuple[float, float, float]:
    """Median seconds a step of the published loop and of ours, and the largest difference of their pictures."""
    x0 = torch.rand(batch, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(batch) % len(model.classes)
    engine, settings = model.for_synthesis(), (8.0, steps, 0.25)
    contenders = {published: model, ours: engine}
    times: dict = {contender: [] for contender in contenders}
    for contender, network in contenders.items():  # warm-up, and the same pictures?
        contender(network, x0, labels, *settings)
    for _ in range(rounds):
        for contender, network in contenders.items():
            began = time.perf_counter()
            contender(network, x0, labels, *settings)
            times[contender].append((time.perf_counter() - began) / steps)
    one = (8.0, 1, 0.25)  # after one step: later ones amplify rounding
    difference = (published(model, x0, labels, *one) - ours(engine, x0, labels, *one)).abs().max().item()
    return statistics.median(times[published]), statistics.median(times[ours]), difference


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.step", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=hub.DEFAULT)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 32])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    model = synth.load(options.checkpoint)
    print(f"{model.name}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    print("| batch | published loop, ms a step | ours, ms a step | ratio | difference after a step |")
    print("|---|---|---|---|---|")
    for batch in options.batch:
        theirs, mine, difference = compare(model, batch, options.steps, options.rounds)
        print(f"| {batch} | {theirs * 1e3:.1f} | {mine * 1e3:.1f} | {theirs / mine:.2f} | {difference:.1e} |")


if __name__ == "__main__":
    main()
