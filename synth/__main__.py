"""The command line: ``python -m synth TASK --help``, or ``synth TASK --help`` where the package is installed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from synth import hub
from synth.checkpoint import load_evaluation
from synth.parameters import Choice, Float, Int, Parameter, flag, sentence
from synth.record import Record
from synth.tasks import TASKS, Task
from synth.version import VERSION
from synth.web import launch


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status, 2 for input that does not fit."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m synth", description="Pictures from one robust classifier.")
    parser.add_argument("--version", action="version", version=VERSION)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for task in TASKS.values():
        summary = (task.__doc__ or "").splitlines()[0]
        command = commands.add_parser(task.name, help=summary, description=summary)
        for name, parameter in task.parameters.items():
            command.add_argument(flag(name), dest=name, **_argument(parameter), help=_help(parameter, task, name))
        command.add_argument("--preset", help=f"tuned (default) or {', '.join(task.presets)}")
        command.add_argument("--checkpoint", help=f"bundled name, folder or owner/name (default {hub.DEFAULT})")
        command.add_argument("--device", default="cpu", help="torch device, such as cpu or cuda")
        command.add_argument("--like", help="saved PNG: repeat it, with the other settings of this command instead")
        command.add_argument("--output", type=Path, default=f"{task.name}.png", help="PNG to write")
        command.add_argument("--zoom", type=int, help="size of a pixel in the PNG (default: at least 128 a side)")
        command.set_defaults(run=_run, task=task)
    app = commands.add_parser("app", help="Start the browser app.", description="Start the browser app.")
    launch.add_options(app)
    app.set_defaults(run=launch.launch)
    listing = commands.add_parser("checkpoints", help="List bundled and downloaded checkpoints with figures.")
    listing.set_defaults(run=_checkpoints)
    return parser


def _run(options: argparse.Namespace) -> int:
    task: Task = options.task
    settings = {name: value for name in task.parameters if (value := getattr(options, name)) is not None}
    checkpoint = options.checkpoint
    if options.like is not None:
        like = Record.read(options.like)
        if options.preset is not None:
            raise ValueError(f"preset: expected none together with --like, got {options.preset!r}")
        if like.task != task.name:
            raise ValueError(f"like: expected a PNG of {task.name}, got one of {like.task}")
        settings = task.rename(like.settings) | settings
        checkpoint = checkpoint or like.checkpoint
    if options.zoom is not None and not 1 <= options.zoom <= 64:
        raise ValueError(f"zoom: expected 1 to 64, got {options.zoom}")
    if options.preset is not None:
        settings["preset"] = options.preset
    task.check_single(settings)
    model = hub.load(checkpoint or hub.default(), device=options.device)
    with tqdm(desc=task.name, leave=False) as bar:

        def show(frame):
            bar.total = frame.steps
            bar.update(frame.step - bar.n)
            bar.set_postfix(loss=f"{frame.loss.mean().item():.3f}", refresh=False)

        frame = task(model, callback=show, **settings)
    try:
        frame.save(options.output, options.zoom)
    except OSError as error:
        raise ValueError(f"output: expected a writable path, got {options.output} ({error.strerror})") from None
    print(options.output)
    return 0


def _checkpoints(options: argparse.Namespace) -> int:
    for kind, names in (("bundled", hub.bundled()), ("downloaded", hub.cached())):
        for name in names:
            try:
                figures = load_evaluation(hub.folder(name))
                shown = ", ".join(f"{key} {value['value']:.1%}" for key, value in figures.get("accuracy", {}).items())
            except (ValueError, TypeError, AttributeError, KeyError):  # a downloaded one is somebody else's
                shown = "figures that cannot be read"
            print(f"{name} ({kind}): {shown or 'not evaluated'}")
    for name in set(hub.listed()) - set(hub.cached()):
        print(f"{name} (on the Hub)")
    return 0


def _argument(parameter: Parameter) -> dict:
    if isinstance(parameter, Choice):
        return {"metavar": "|".join(map(str, parameter.options))}
    kinds = {Int: (_number(int), "N"), Float: (_number(float), "X")}
    for kind, (convert, metavar) in kinds.items():
        if isinstance(parameter, kind):
            return {"type": convert, "metavar": metavar}
    return {"metavar": type(parameter).__name__.upper()}


def _number(kind: type):
    def convert(text: str):
        try:
            return kind(text)
        except ValueError:
            return text  # the parameter's own check says what was expected

    return convert


def _help(parameter: Parameter, task: Task, name: str) -> str:
    default = task.presets.get("tuned", {}).get(name, parameter.default)
    ending = "required" if parameter.required else "" if default is None else f"default {default}"
    text = f"{parameter.help} {sentence(parameter.expected())}" + (f"; {ending}." if ending else ".")
    return text.replace("%", "%%")


if __name__ == "__main__":
    sys.exit(main())
