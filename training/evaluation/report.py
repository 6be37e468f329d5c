"""A checkpoint's evaluation.json: read, with the names of older versions, and extended by the figures of one run."""

from __future__ import annotations

import json
from pathlib import Path

from synth import checkpoint
from training.evaluation.base import Section

RENAMED = {"agreement": "judge_accuracy", "group_agreement": "judge_group_accuracy"}
"""{key of older versions: today's key}."""


def read(folder: Path) -> dict:
    """The figures of the checkpoint in ``folder``: {"checkpoint", "runs": {command: {...}}, and a key per section}.

    Without an evaluation.json there is no section.
    """
    path = folder / checkpoint.EVALUATION
    report = {"checkpoint": folder.name, "runs": {}}
    if path.exists():
        report |= json.loads(path.read_text(), object_hook=_renamed)
    for figures in report.get("autoencoder", {}).values():  # older versions kept the cost of a run beside its table
        cost = {name: figures.pop(name) for name in ("minutes", "machine") if name in figures}
        if cost:
            report["runs"].setdefault(figures["command"], cost)
    return report


def store(folder: Path, section: Section, figures: dict, command: str, run: dict) -> None:
    """Put the ``figures`` that one run of ``command`` measured into ``folder/evaluation.json``.

    run: the minutes, machine and so on of the command; those of commands without a figure left are dropped.
    """
    report = read(folder)
    if section.accumulates:
        known = report.setdefault(section.key, {})
        known |= {name: value | {"command": command} for name, value in figures.items()}
    else:
        report[section.key] = figures | {"command": command}
    report["runs"][command] = run
    used = set()
    for part in report.values():
        if isinstance(part, dict):
            used |= {one["command"] for one in (part, *part.values()) if isinstance(one, dict) and "command" in one}
    report["runs"] = {command: run for command, run in report["runs"].items() if command in used}
    checkpoint.add(folder, evaluation=report)


def minutes(folder: Path, section: Section, figures: dict) -> float:
    """What the runs took that measured the figures of these names so far."""
    report = read(folder)
    commands = {known["command"] for name, known in report.get(section.key, {}).items() if name in figures}
    return sum(report["runs"].get(command, {}).get("minutes", 0) for command in commands)


def _renamed(values: dict) -> dict:
    return {RENAMED.get(name, name): value for name, value in values.items()}
