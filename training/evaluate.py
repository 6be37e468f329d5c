"""Measure a checkpoint: ``python -m training.evaluate CHECKPOINT`` adds to its evaluation.json and rewrites its card.

On several processes, with the same figures: ``accelerate launch -m training.evaluate ...``.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import shlex
import sys
import time

from synth import hub
from synth.classifier import Classifier
from synth.registry import discover
from synth.version import VERSION
from training.card import write_card
from training.data import Pictures, of
from training.evaluation import report
from training.evaluation.base import Measure
from training.judge import load_judge
from training.machine import DEVICE, accelerate, machine


def main(arguments: list[str] | None = None) -> None:
    measures = discover("training.evaluation", Measure)
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    helps = "; ".join(f"{name}: {measure.help}" for name, measure in measures.items())
    parser.add_argument("--measure", choices=measures, default="accuracy", help=f"{helps} (default: accuracy)")
    defaults = ", ".join(f"{name} {measure.count or 'all'}" for name, measure in measures.items())
    parser.add_argument("--count", type=int, help=f"random test pictures, or samples (default: {defaults})")
    for flag, keywords in {flag: k for measure in measures.values() for flag, k in measure.options.items()}.items():
        parser.add_argument(flag, **keywords)
    parser.add_argument("--device", choices=("cpu", "cuda"), default=DEVICE)
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        if options.count is not None and options.count < 1:
            raise ValueError(f"count: expected at least 1, got {options.count}")
        if options.device == "cuda" and DEVICE == "cpu":
            raise ValueError("device: expected cpu, since this machine has no CUDA, got cuda")
        accelerator = accelerate(device=options.device)
        model, measure = hub.load(options.checkpoint), measures[options.measure]
        own = {flag.removeprefix("--"): getattr(options, flag.removeprefix("--")) for flag in measure.options}
        if "judge" in own:
            own["judge"] = None if own["judge"] == "none" else load_judge(own["judge"], model)
        if "also" in own:
            own["also"] = [load_judge(name, model) for name in own["also"]]
        data = [_split(model, split, options.data) for split in measure.splits]
        count = options.count or measure.count
        figures = measure.measure(model, *data, count=count, accelerator=accelerator, **own)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    if accelerator.is_main_process:
        command = shlex.join(["python", "-m", "training.evaluate", *(arguments or sys.argv[1:])])
        minutes = round((time.monotonic() - start) / 60, 1)
        if own.get("skip"):  # the whole, as if it had been one run
            command = re.sub(r" --skip[ =]\d+", "", command)
            minutes += report.minutes(model.folder, measure, figures)
        run = {"minutes": minutes, "machine": machine(accelerator), "version": VERSION}
        report.store(model.folder, measure, figures, command, run)
        write_card(model.folder)
        print(json.dumps(figures, indent=2))


def _split(model: Classifier, split: str, source: str | None) -> Pictures:
    """A split of the data, with the model's classes."""
    data = of(model, split, source)
    if data.classes == ["A", "B"] and len(model.classes) == 2:  # domains, which got names when they were trained on
        data = dataclasses.replace(data, classes=model.classes)
    if data.classes != model.classes:
        raise ValueError(f"data: expected the classes {model.classes}, got {data.classes}")
    return data


if __name__ == "__main__":
    main()
