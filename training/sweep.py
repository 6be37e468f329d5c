"""Which sampling settings suit a checkpoint: ``python -m training.sweep CHECKPOINT --judge NAME``.

It writes a Markdown table of generation with one parameter at a time changed from the checkpoint's tuned preset.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from accelerate import Accelerator

from synth import hub
from synth.classifier import Classifier
from synth.parameters import Choice, Int, flag
from synth.starts import STARTS
from training.data import Pictures, of
from training.judge import Reference, check, judge_samples
from training.machine import DEVICE, accelerate, arithmetic
from training.processes import once
from training.sampling import GENERATION, Samples, balanced, generate
from training.tables import table

CHOSEN = ("start", "objective")
SWEPT = (*CHOSEN, "epsilon", "steps", "step_size", "crop")
CROPS = [0.0, 0.25, 0.5]
MULTIPLES = {"epsilon": (0.5, 0.75, 1.5), "steps": (0.5, 2), "step_size": (0.5, 2)}
"""The default values to try, as multiples of the preset's value."""


def around(model: Classifier) -> dict[str, list]:
    """The default values of each swept parameter to try: {name: values}."""
    preset = GENERATION.defaults(model)
    fitted = [name for name in model.starts if STARTS[name].tensors and STARTS[name].random]
    grid = {"start": fitted or model.starts}
    grid["objective"] = list(GENERATION.parameters["objective"].options)
    for name, multiples in MULTIPLES.items():
        parameter = GENERATION.parameters[name]
        values = (min(max(preset[name] * by, parameter.minimum), parameter.maximum) for by in multiples)
        grid[name] = [round(value) if isinstance(parameter, Int) else float(f"{value:.3g}") for value in values]
    return grid | {"crop": CROPS}


def one_at_a_time(model: Classifier, grid: dict[str, list]) -> list[dict]:
    """The tuned preset's values of the swept parameters, then these with one changed at a time, each once.

    ValueError for a value that generation does not take.
    """
    preset = {name: GENERATION.check(model)[name] for name in SWEPT}
    rows = [preset]
    for name, values in grid.items():
        for value in values:
            checked = GENERATION.check(model, **{name: value})[name]
            row = preset | {name: checked}
            if row not in rows:
                rows.append(row)
    return rows


def sweep(
    model: Classifier,
    judge: Classifier,
    train: Pictures,
    test: Pictures,
    rows: list[dict],
    *,
    count: int = 500,
    accelerator: Accelerator,
    batch: int = 50,
) -> Iterator[dict]:
    """The figures of real test pictures, then of ``count`` samples with each of ``rows``, on every process.

    Each is {"settings" (None for the test pictures), "seconds_per_picture" (None likewise)} and the figures of
    ``judge_samples`` against ``count`` class-balanced random training pictures.
    ValueError for a judge, data or count that do not fit.
    """
    check(model, judge, train, test, count=count)
    reference = Reference(judge.inference_copy().to(accelerator.device), balanced(train, count).pictures)

    def figures(images: Pictures | Samples) -> dict:
        return once(lambda: judge_samples(images.pictures, images.labels, reference), accelerator)

    yield {"settings": None, "seconds_per_picture": None} | figures(balanced(test, count))
    for settings in rows:
        samples = generate(model, count, accelerator=accelerator, batch=batch, **settings)
        yield {"settings": settings, "seconds_per_picture": samples.seconds} | figures(samples)


def markdown(rows: list[dict]) -> str:
    """Markdown of the rows of ``sweep``, by FID; bold settings differ from those of the first row that has any."""
    preset = next((row["settings"] for row in rows if row["settings"]), {})
    names = ["judge accuracy", "FID", "KID", "precision", "recall", "seconds per picture"]
    lines = []
    for row in sorted(rows, key=lambda row: row["fid"]):
        settings = row["settings"]
        if settings is None:
            cells = ["real test pictures"] + [""] * (len(SWEPT) - 1)
        else:
            shown = {name: str(settings[name]) if name in CHOSEN else f"{settings[name]:g}" for name in SWEPT}
            cells = [f"**{shown[name]}**" if settings[name] != preset[name] else shown[name] for name in SWEPT]
        low, high = row["judge_accuracy"]["interval"]
        cells += [
            f"{row['judge_accuracy']['value']:.1%} ({low:.1%} to {high:.1%})",
            f"{row['fid']:g}",
            f"{row['kid']['mean']:g} ± {row['kid']['std']:g}",
            f"{row['precision']:g}",
            f"{row['recall']:g}",
            "" if settings is None else f"{row['seconds_per_picture']:.3g}",
        ]
        lines.append(cells)
    return table([name.replace("_", " ") for name in SWEPT] + names, lines)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--judge", required=True, help="another checkpoint of the same classes")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--count", type=int, default=500, help="samples per row (default 500)")
    parser.add_argument("--batch", type=int, default=50, help="pictures per batch (default 50)")
    parser.add_argument("--output", type=Path, help="the table's file (default runs/sweep-CHECKPOINT.md)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default=DEVICE)
    for name in SWEPT:
        parameter = GENERATION.parameters[name]
        kind = str if isinstance(parameter, Choice) else int if isinstance(parameter, Int) else float
        default = "all" if name in CHOSEN else "a few around the preset"
        parser.add_argument(flag(name), type=kind, nargs="*", help=f"values to try, or none (default {default})")
    options = parser.parse_args(arguments)
    try:
        accelerator = accelerate(device=options.device)
        model, judge = hub.load(options.checkpoint), hub.load(options.judge)
        grid = {name: getattr(options, name) for name in SWEPT if getattr(options, name) is not None}
        plan = one_at_a_time(model, around(model) | grid)
        train, test = (of(model, split, options.data) for split in ("train", "test"))
        output = options.output or Path("runs") / f"sweep-{model.name}.md"
        command = shlex.join(["python", "-m", "training.sweep", *(arguments or sys.argv[1:])])
        title = (
            f"Each row shows {options.count} class-balanced samples of {model.name}, compared with as many "
            f"class-balanced random training pictures in the features of the judge {judge.name}. Bold settings differ "
            f"from the preset. The precision is {arithmetic(accelerator)}. The command is `{command}`.\n\n"
        )
        rows = []
        run = dict(count=options.count, accelerator=accelerator, batch=options.batch)
        for row in sweep(model, judge, train, test, plan, **run):
            rows.append(row)
            if accelerator.is_main_process:  # after every row, so that a killed sweep leaves its results
                output.parent.mkdir(parents=True, exist_ok=True)
                output.write_text(title + markdown(rows) + "\n")
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    if accelerator.is_main_process:
        print(markdown(rows))


if __name__ == "__main__":
    main()
