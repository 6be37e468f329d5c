"""Seconds of a training step by the pictures' side: ``python -m bench.training``; with and without kept memory."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import replace

import torch
import torch.nn.functional as F

from training import machine
from training.config import resized
from training.data import Pictures
from training.initial import build
from training.recipes import recipe
from training.tables import table
from training.train import attack

CLASSES = 20


def seconds_per_step(options: argparse.Namespace, side: int) -> float:
    """The mean time of a step of the recipe on random pictures, after one to warm up."""
    own, steps = replace(recipe(options.recipe), initial=""), options.steps
    own = replace(own, architecture=options.architecture or own.architecture)
    config, accelerator = resized(own, side), machine.accelerate()
    model = build(own, Pictures(*torch.empty(2, 0), list(map(str, range(CLASSES))), []))
    model = model.to(accelerator.device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    x = torch.rand(config.batch_size, 3, side, side).to(accelerator.device, memory_format=torch.channels_last)
    y = torch.randint(0, CLASSES, (len(x),), device=accelerator.device)
    for step in range(steps + 1):
        if step == 1:
            began = time.perf_counter()
        inputs = attack(model, x, y, config.epsilon, config, torch.randn_like(x), accelerator)
        accelerator.backward(F.cross_entropy(wrapped(inputs).float(), y))
        optimizer.step()
        optimizer.zero_grad()
    return (time.perf_counter() - began) / steps


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.training", description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", default="imagenet20-resnet18-slim-l2")
    parser.add_argument("--architecture", help="another network than the recipe's")
    parser.add_argument("--sides", type=int, nargs="+", default=[112, 160, 224])
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--returned", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.returned:
        machine.keep_memory = lambda: None
        print(*(f"{seconds_per_step(options, side):.2f}" for side in options.sides))
        return
    command = [sys.executable, "-m", "bench.training", "--returned", *(arguments or sys.argv[1:])]
    returned = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    kept = [f"{seconds_per_step(options, side):.2f}" for side in options.sides]
    rows = [[str(side), *row] for side, *row in zip(options.sides, returned, kept, strict=True)]
    print(table(["side", "freed memory returned", "kept"], rows))


if __name__ == "__main__":
    main()
