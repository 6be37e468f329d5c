"""One synthesis step against other libraries' L2 attacks: ``python -m bench.peers`` prints the table.

Same weights, pictures, labels, steps, step size and epsilon, descending the cross-entropy to a target without a random
start; the contenders take turns in one process. First their pictures must agree to 1e-4 after three steps in
double precision; in single, a step of each may differ by what a ReLU that rounding opens or closes changes. Each peer
runs as its users run it: eager, the plain network in eval mode, normalisation included. Needs ``pip install foolbox
torchattacks`` and ``pip install --no-deps robustness``; what is missing is said and left out.

robustness is the published attacker itself: ``Tensor.cuda`` is patched to stay on the CPU, the packages that its loop
does not use are stubs, and ``use_best``, which costs copies, is off, as in the published synthesis.
foolbox is asked for its loop (``run``), without the forward pass that its attacks add at the end. One rule stays
different: robustness and we clamp what the network sees, which stops the gradient of pixels that are 0 or 1 exactly.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor, nn

from synth.classifier import Classifier
from synth.constraints import L2, norms
from synth.objectives import cross_entropy
from synth.pgd import pgd
from training.tables import table

EPSILON, STEP_SIZE = 8.0, 0.25
SIZES, NETWORKS, BATCHES = [32, 224], ["resnet18", "resnet50", "mobilenet_v2"], [1, 8, 64]
BARS = {"resnet": 1.1, "mobilenet": 1.5}

Attack = Callable[[Tensor, Tensor, int], Tensor]
"""(pictures, labels, steps) -> pictures."""


class Plain(nn.Module):
    """The network as torchvision's users have it: normalisation, then its own forward."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.backbone, self.mean, self.std = model.backbone, model.mean, model.std

    def forward(self, x: Tensor) -> Tensor:
        return self.backbone((x - self.mean) / self.std)


def ours(model: Classifier) -> Attack:
    engine = model.inference_copy()
    return lambda x, y, steps: pgd(cross_entropy(engine, y), x, L2(EPSILON), steps=steps, step_size=STEP_SIZE)


def robustness(model: Classifier) -> Attack:
    with mock.patch.dict(sys.modules, {name: mock.MagicMock() for name in ("cox", "dill", "pandas")}):
        from robustness.attacker import Attacker

    attacker = Attacker(model.backbone, SimpleNamespace(mean=model.mean.flatten(), std=model.std.flatten())).eval()
    settings = {"constraint": "2", "eps": EPSILON, "step_size": STEP_SIZE, "targeted": True, "use_best": False}

    def attack(x: Tensor, y: Tensor, steps: int) -> Tensor:
        with mock.patch.object(Tensor, "cuda", lambda tensor: tensor):
            return attacker(x, y, iterations=steps, **settings)

    return attack


def foolbox(model: Classifier) -> Attack:
    from foolbox import PyTorchModel, TargetedMisclassification
    from foolbox.attacks import L2ProjectedGradientDescentAttack

    plain = PyTorchModel(Plain(model).eval(), bounds=(0, 1), device=model.device)

    def attack(x: Tensor, y: Tensor, steps: int) -> Tensor:
        loop = L2ProjectedGradientDescentAttack(abs_stepsize=STEP_SIZE, steps=steps, random_start=False)
        return loop.run(plain, x, TargetedMisclassification(y), epsilon=EPSILON)

    return attack


def torchattacks(model: Classifier) -> Attack:
    from torchattacks import PGDL2

    plain = Plain(model).eval()

    def attack(x: Tensor, y: Tensor, steps: int) -> Tensor:
        loop = PGDL2(plain, eps=EPSILON, alpha=STEP_SIZE, steps=steps, random_start=False)
        loop.set_mode_targeted_by_label(quiet=True)
        return loop(x, y)

    return attack


PEERS = {"robustness": robustness, "foolbox": foolbox, "torchattacks": torchattacks}


def network(architecture: str, size: int) -> Classifier:
    """Random weights, which take as long as trained ones, and batch norms that know their inputs' statistics."""
    torch.manual_seed(0)
    model = Classifier(architecture, [str(index) for index in range(10 if size < 128 else 1000)], size)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1
    with torch.no_grad():
        model.train()(inputs(model, 8)[0])
    return model.eval()


def inputs(model: Classifier, batch: int) -> tuple[Tensor, Tensor]:
    """Pictures, grey enough to stay off 0 and 1, and labels."""
    noise = torch.rand(batch, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))
    return 0.3 + 0.4 * noise, torch.arange(batch) % len(model.classes)


def check(contenders: dict[str, Attack], x: Tensor, y: Tensor, steps: int, most: float) -> float:
    """The largest L2 distance of one of their pictures from ours; ValueError if more than ``most``."""
    pictures = {name: attack(x, y, steps) for name, attack in contenders.items()}
    apart = {name: norms(picture - pictures["ours"]).max().item() for name, picture in pictures.items()}
    for name, distance in apart.items():
        if not distance <= most:
            raise ValueError(f"{name}: expected pictures within {most:g} of ours, got {distance:.1e}")
    return max(apart.values())


def measure(contenders: dict[str, Attack], x: Tensor, y: Tensor, *, steps: int, seconds: float) -> dict[str, float]:
    """Median seconds a step of each: at least three rounds, more until ``seconds`` are over."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    began = time.perf_counter()
    while len(times["ours"]) < 3 or time.perf_counter() - began < seconds:
        for name, attack in contenders.items():
            start = time.perf_counter()
            attack(x, y, steps)
            times[name].append((time.perf_counter() - start) / steps)
    return {name: statistics.median(all) for name, all in times.items()}


def installed() -> dict[str, Callable]:
    """The peers that can be imported; one sentence for each that cannot."""
    peers = {}
    for name, make in PEERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed and left out: `pip install {name}` adds its column.\n")
        else:
            peers[name] = make
    return peers


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--networks", nargs="+", default=NETWORKS)
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES)
    parser.add_argument("--seconds", type=float, default=8, help="measure each row at least so long")
    options = parser.parse_args(arguments)
    makers = {"ours": ours} | installed()
    rows, exact, rounded, least = [], 0.0, 0.0, dict.fromkeys(BARS, float("inf"))
    for size in options.sizes:
        for architecture in options.networks:
            model = network(architecture, size)
            double = copy.deepcopy(model).double()
            x, y = inputs(model, 2)
            exact = max(exact, check({name: make(double) for name, make in makers.items()}, x.double(), y, 3, 1e-4))
            contenders = {name: make(model) for name, make in makers.items()}
            for batch in options.batches:
                x, y = inputs(model, batch)
                rounded = max(rounded, check(contenders, x, y, 1, STEP_SIZE / 10))
                steps = 3 if batch < 64 else 1
                mine, *theirs = measure(contenders, x, y, steps=steps, seconds=options.seconds).values()
                cells = [f"{1e3 * other:.1f} ({other / mine:.2f})" for other in theirs]
                rows.append([architecture, f"{size}", f"{batch}", f"{1e3 * mine:.1f}", *cells])
                for family in BARS:
                    if architecture.startswith(family) and theirs:
                        least[family] = min(least[family], min(theirs) / mine)
    print(f"Milliseconds per step, median; in brackets the ratio to ours. {torch.get_num_threads()} threads.\n")
    print(table(["network", "pixels", "batch", *makers], rows))
    print(f"\nPictures differ (L2) by at most {exact:.0e} after 3 steps in double precision,")
    print(f"by {rounded / STEP_SIZE:.1%} of the step after one in single, where rounding may open or close a ReLU.")
    for family, bar in BARS.items():
        if least[family] < float("inf"):
            print(f"The fastest peer on a {family} takes at least {least[family]:.2f} times as long (wanted: {bar}).")


if __name__ == "__main__":
    main()
