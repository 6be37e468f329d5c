"""Every task at 224 pixels: ``python -m bench.large`` prints milliseconds a step of one picture, and peak memory.

The weights are random, which takes as long as trained ones. Each network runs in a process of its own.
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
from synth.backbones import BACKBONES
from synth.classifier import RobustClassifier
from training.card import table

SIZE = 224


def measure(architecture: str, steps: int) -> tuple[list[str], list[float], float]:
    """Tasks, their milliseconds a step, and the process's peak memory in MB."""
    model = RobustClassifier(architecture, [str(index) for index in range(1000)], SIZE).eval()
    picture, mask = torch.rand(3, SIZE, SIZE), torch.zeros(1, SIZE, SIZE)
    mask[:, 60:120, 60:120] = 1
    given = {"picture": picture, "mask": mask, "class_name": 5, "count": 1, "start": "noise"}
    found = []
    for task in TASKS.values():
        settings = {name: value for name, value in given.items() if name in task.parameters}
        moments = [time.monotonic() for _ in task.frames(model, steps=steps, **settings)]
        found.append(1000 * statistics.median(b - a for a, b in pairwise(moments[1:])))
    return list(TASKS), found, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.large", description=__doc__.splitlines()[0])
    parser.add_argument("--architectures", nargs="+", choices=BACKBONES, default=["resnet18", "resnet50"])
    parser.add_argument("--steps", type=int, default=8)
    options = parser.parse_args(arguments)
    rows = []
    for architecture in options.architectures:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            tasks, times, memory = pool.apply(measure, (architecture, options.steps))
        rows.append([architecture, *(f"{one:.0f}" for one in times), f"{memory:.0f}"])
    print(table(["network", *(f"{task}, ms" for task in tasks), "MB"], rows))


if __name__ == "__main__":
    main()
