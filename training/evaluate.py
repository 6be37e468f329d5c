"""Measure a checkpoint: ``python -m training.evaluate CHECKPOINT`` adds to its evaluation.json and rewrites its card.

On several processes, with the same figures: ``accelerate launch -m training.evaluate ...``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import platform
import shlex
import sys
import time
from pathlib import Path

import torch
from accelerate import Accelerator

from synth import hub
from synth.classifier import Classifier
from synth.version import VERSION
from training import accuracy, restoration, samples, translations
from training.card import write_card
from training.data import Pictures, of
from training.loop import precision

MEASURES = {"accuracy": None, "autoattack": 1000, "samples": 10_000, "restoration": 500, "translation": 50}
"""What can be measured, and on how many pictures unless told; None is all."""


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument(
        "--measure",
        choices=MEASURES,
        default="accuracy",
        help="accuracy: clean and under PGD-20 (default); autoattack: needs pyautoattack; samples: quality of "
        "generated pictures; restoration: super-resolution and inpainting of test pictures; translation: of test "
        "pictures, --count of each pair",
    )
    defaults = ", ".join(f"{name} {count or 'all'}" for name, count in MEASURES.items())
    parser.add_argument("--count", type=int, help=f"random test pictures, or samples (default: {defaults})")
    parser.add_argument(
        "--epsilon", type=float, nargs="+", help="L2 radii of the attacks (default: 0.25, 0.5 and 1 a 32 pixels' side)"
    )
    parser.add_argument(
        "--attacks",
        nargs="+",
        choices=accuracy.STANDARD,
        default=accuracy.STANDARD,
        help="attacks of AutoAttack (default: its standard four)",
    )
    parser.add_argument("--judge", help="another classifier, to judge pictures (default: the bundled one that fits)")
    parser.add_argument(
        "--pairs", nargs="+", metavar="A:B", help="translation: from class to class (default: the checkpoint's)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args(arguments)
    accelerator = Accelerator(mixed_precision=precision(options.device), cpu=options.device == "cpu")
    began = time.monotonic()
    try:
        _check(options)
        model = hub.load(options.checkpoint)
        test = of(model, "test", options.data)
        if test.classes == ["A", "B"] and len(model.classes) == 2:  # domains, named when they were trained on
            test = dataclasses.replace(test, classes=model.classes)
        if test.classes != model.classes:
            raise ValueError(f"data: expected the classes {model.classes}, got {test.classes}")
        figures = _measure(model, test, options, accelerator)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    if accelerator.is_main_process:
        command = shlex.join(["python", "-m", "training.evaluate", *(arguments or sys.argv[1:])])
        run = {"minutes": round((time.monotonic() - began) / 60, 1), "machine": _machine(accelerator)}
        add(hub.folder(options.checkpoint), options.measure, figures, command, run | {"version": VERSION})
        print(json.dumps(figures, indent=2))


def add(folder: Path, measure: str, figures: dict, command: str, run: dict) -> None:
    """Put the figures of one run into ``folder/evaluation.json``, each with its command, and rewrite the card."""
    path = folder / "evaluation.json"
    report = {"checkpoint": folder.name, "runs": {}}
    if path.exists():
        report |= json.loads(path.read_text())
    if measure in ("accuracy", "autoattack"):
        accuracies = report.setdefault("accuracy", {})
        accuracies |= {name: value | {"command": command} for name, value in figures.items()}
    else:
        report[measure] = figures | {"command": command}
    report["runs"][command] = run
    groups = [*report.get("accuracy", {}).values(), *(report[name] for name in MEASURES if name in report)]
    used = {group["command"] for group in groups if "command" in group}
    report["runs"] = {command: run for command, run in report["runs"].items() if command in used}
    path.write_text(json.dumps(report, indent=2) + "\n")
    write_card(folder)


def _check(options) -> None:
    if any(not (math.isfinite(epsilon) and epsilon > 0) for epsilon in options.epsilon or []):
        raise ValueError(f"epsilon: expected positive numbers, got {options.epsilon}")
    if any(pair.count(":") != 1 for pair in options.pairs or []):
        raise ValueError(f"pairs: expected source:target, got {', '.join(options.pairs)}")
    if options.count is not None and options.count < 1:
        raise ValueError(f"count: expected at least 1, got {options.count}")
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: expected cpu, since this machine has no CUDA, got cuda")


def _measure(model: Classifier, test: Pictures, options, accelerator: Accelerator) -> dict:
    """The figures of one measure, the same on every process."""
    count = options.count or MEASURES[options.measure]
    epsilon = options.epsilon or [radius * model.image_size / 32 for radius in (0.25, 0.5, 1)]
    if options.measure in ("accuracy", "autoattack"):
        test = _pick(test, count)
        if options.measure == "accuracy":
            return accuracy.under_pgd(model, test, epsilon, accelerator=accelerator)
        attacks = tuple(options.attacks)
        return accuracy.under_autoattack(model, test, epsilon, attacks=attacks, accelerator=accelerator)
    judge = hub.load(options.judge or _judge(model))
    if options.measure == "translation":
        pairs = [tuple(pair.split(":")) for pair in options.pairs or []]
        return translations.measure(model, test, judge=judge, pairs=pairs, count=count, accelerator=accelerator)
    if options.measure == "samples":
        train = of(model, "train", options.data)
        return samples.measure(model, judge, train, test, count=count, accelerator=accelerator)
    return restoration.measure(model, test, judge=judge, count=count, accelerator=accelerator)


def _judge(model: Classifier) -> str:
    """The bundled judge of the model's classes and size; ValueError if there is none."""
    for name in hub.bundled():
        if name.endswith("-judge"):
            judge = hub.load(name)
            if set(model.classes) <= set(judge.classes) and judge.image_size == model.image_size:
                return name
    raise ValueError(f"judge: expected the name of one, since no bundled judge fits {model.name}, got none")


def _pick(data: Pictures, count: int | None, seed: int = 0) -> Pictures:
    """All pictures, or ``count`` random ones."""
    if count is None or count >= len(data):
        return data
    return data.subset(torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:count])


def _machine(accelerator: Accelerator) -> str:
    kind = torch.cuda.get_device_name() if accelerator.device.type == "cuda" else f"{platform.machine()} CPU"
    return f"{kind}, {os.cpu_count()} cores, {accelerator.num_processes} process(es), torch {torch.__version__}"


if __name__ == "__main__":
    main()
