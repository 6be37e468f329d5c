"""How the cost of generation grows: ``python -m bench.growth``. Time and peak memory, one thing changed at a time.

Steps, pictures at once, pixels, classes and the network; the weights are random, which takes as long as trained ones.
Every row runs in a process of its own. How it grows with clients is ``bench.load``'s.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from itertools import pairwise

import torch

from synth import TASKS
from synth.classifier import Classifier
from training.tables import table

USUAL = {"steps": 20, "pictures": 1, "pixels": 64, "classes": 10, "network": "resnet18"}
CHANGED = {
    "steps": (10, 40, 80),
    "pictures": (4, 16, 64),
    "pixels": (32, 128, 224),
    "classes": (100, 1000, 10000),
    "network": ("resnet50", "mobilenet_v2"),
}
CASES = [{}] + [{name: value} for name, values in CHANGED.items() for value in values]
CASES += [{"pixels": 224, "network": "resnet50"}]


def measure(steps: int, pictures: int, pixels: int, classes: int, network: str) -> tuple[float, float, float, float]:
    """Milliseconds a step, seconds until the first frame and the last, and the process's peak memory in MB.

    The first run of a process, which packs the weights, is not counted.
    """
    torch.manual_seed(0)
    model = Classifier(network, [str(index) for index in range(classes)], pixels).eval()
    settings = {"count": pictures, "start": "noise", "class_name": 5, "objective": "cross-entropy", "jitter": 0}
    list(TASKS["generation"].frames(model, steps=2, **settings))
    began = time.monotonic()
    moments = [time.monotonic() - began for _ in TASKS["generation"].frames(model, steps=steps, **settings)]
    each = 1000 * statistics.median(b - a for a, b in pairwise(moments))
    return each, moments[0], moments[-1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.growth", description=__doc__.splitlines()[0])
    parser.parse_args(arguments)
    rows = []
    for changed in CASES:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            each, first, last, memory = pool.apply(measure, kwds=USUAL | changed)
        name = ", ".join(f"{value} {key}" if key != "network" else value for key, value in changed.items())
        rows.append([name or "usual", f"{each:.1f}", f"{first:.2f}", f"{last:.2f}", f"{memory:.0f}"])
    print(", ".join(f"{key} {value}" for key, value in USUAL.items()), end="\n\n")
    print(table(["changed", "ms per step", "first frame, s", "done, s", "peak MB"], rows))


if __name__ == "__main__":
    main()
