"""Measure a checkpoint: ``python -m training.evaluate CHECKPOINT`` writes its evaluation.json and card."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import shlex
import sys
import time
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from synth import hub
from synth.classifier import RobustClassifier
from synth.constraints import L2
from synth.pgd import pgd
from synth.version import VERSION
from training.card import write_card
from training.data import Pictures, load

STEPS = 20
"""Attack steps; each 2.5 * epsilon / STEPS long, from the picture itself, as MadryLab/robustness evaluates."""


def evaluate(model: RobustClassifier, data: Pictures, epsilons: list[float], *, batch: int = 128) -> dict[str, dict]:
    """Accuracy on ``data``, clean and under PGD-20 at each L2 epsilon: {name: {value, count, interval}}.

    A picture counts as fooled if it is misread at any step of the attack, or at a smaller epsilon (the smaller ball
    lies inside the larger), so figures err on the low side.
    """
    model = model.for_synthesis()
    right = {name: 0 for name in ("clean", *map(_name, sorted(epsilons)))}
    with tqdm(total=len(data), desc=model.name, mininterval=2) as bar:
        for begin in range(0, len(data), batch):
            x, y = (part.to(model.device) for part in data[slice(begin, begin + batch)])
            with torch.no_grad():
                kept = model(x).argmax(1) == y
            right["clean"] += int(kept.sum())
            for epsilon in sorted(epsilons):
                kept[kept.clone()] = survivors(model, x[kept], y[kept], epsilon)
                right[_name(epsilon)] += int(kept.sum())
            bar.update(len(y))
    return {name: figure(count, len(data)) for name, count in right.items()}


def survivors(model: RobustClassifier, x: Tensor, y: Tensor, epsilon: float) -> Tensor:
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


def figure(right: int, count: int) -> dict:
    """A proportion with its count and 95 % Wilson interval."""
    z, p = 1.96, right / count
    middle, half = p + z * z / (2 * count), z * math.sqrt(p * (1 - p) / count + z * z / (4 * count * count))
    scale = 1 + z * z / count
    interval = [round((middle - half) / scale, 4), round((middle + half) / scale, 4)]
    return {"value": round(p, 4), "count": count, "interval": interval}


def _name(epsilon: float) -> str:
    return f"pgd{STEPS}_l2_{epsilon:g}"


def _pick(data: Pictures, count: int | None, seed: int = 0) -> Pictures:
    """All pictures, or ``count`` random ones."""
    if count is None or count >= len(data):
        return data
    return data.subset(torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.25, 0.5, 1.0], help="L2 radii of the attack")
    parser.add_argument("--count", type=int, help="random test pictures (default: all)")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    try:
        if any(not (math.isfinite(epsilon) and epsilon > 0) for epsilon in options.epsilon):
            raise ValueError(f"epsilon: expected positive numbers, got {options.epsilon}")
        if options.count is not None and options.count < 1:
            raise ValueError(f"count: expected at least 1, got {options.count}")
        model = hub.load(options.checkpoint, device=options.device)
        data = _pick(load(options.data or model.info["data"], "test", model.image_size), options.count)
        if data.classes != model.classes:
            raise ValueError(f"data: expected the classes {model.classes}, got {data.classes}")
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    began = time.monotonic()
    accuracy = evaluate(model, data, options.epsilon)
    folder = hub.folder(options.checkpoint)
    path = folder / "evaluation.json"
    report = json.loads(path.read_text()) if path.exists() else {}
    report |= {
        "checkpoint": model.name,
        "data": f"{model.info['data']}, test split" + (f", {options.count} random pictures" if options.count else ""),
        "accuracy": accuracy,
        "attack": f"PGD-{STEPS} on the cross-entropy, L2, steps of 2.5 epsilon / {STEPS}, fooled at any step counts",
        "command": shlex.join(["python", "-m", "training.evaluate", *(arguments or sys.argv[1:])]),
        "minutes": round((time.monotonic() - began) / 60, 1),
        "machine": f"{torch.cuda.get_device_name() if options.device != 'cpu' else platform.machine()}, "
        f"{os.cpu_count()} cores, torch {torch.__version__}",
        "version": VERSION,
    }
    path.write_text(json.dumps(report, indent=2) + "\n")
    write_card(folder)
    for name, value in accuracy.items():
        print(f"{name}: {value['value']:.2%} of {value['count']} {value['interval']}")


if __name__ == "__main__":
    main()
