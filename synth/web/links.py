"""Settings as a link, and back from a link or from a saved PNG."""

from __future__ import annotations

from urllib.parse import urlencode

from synth import TASKS, Task
from synth.parameters import Choice, Float, Mask, Parameter, Picture
from synth.pictures import settings_of
from synth.web.checkpoints import load


def link(task: Task, checkpoint: str, values: dict) -> str:
    """The query of a link that reopens ``task``: what differs from the checkpoint's defaults.

    ``values`` hold no pictures: a link cannot.
    """
    usual = task.defaults(load(checkpoint))
    changed = {name: value for name, value in values.items() if (value or 0) != (usual[name] or 0)}
    return "?" + urlencode({"task": task.name, "checkpoint": checkpoint} | changed)


def from_link(query: dict[str, str]) -> tuple[Task, str, dict]:
    """(task, checkpoint, settings) of a link's query; ValueError for what no tab has."""
    values = dict(query)
    task, checkpoint = _task(values.pop("task", None)), values.pop("checkpoint", "")
    model = load(checkpoint)
    settings = {name: _parse(task.parameters.get(name), value) for name, value in task.rename(values).items()}
    for name, value in settings.items():
        if name not in task.parameters or isinstance(task.parameters[name], (Picture, Mask)):
            raise ValueError(f"{name}: expected a setting of {task.name} that a link can hold")
        checked = task.parameters[name].check(name, value, model)
        if isinstance(task.parameters[name], Choice):
            settings[name] = checked
    return task, checkpoint, task.defaults(model) | settings


def from_picture(path: str) -> tuple[Task, str, dict]:
    """(task, checkpoint, settings) of a saved PNG; ValueError if it holds none that fit."""
    record = settings_of(path, "picture")
    if not isinstance(record.get("settings"), dict) or not isinstance(record.get("checkpoint"), str):
        raise ValueError("picture: expected a saved PNG with its settings inside, got others")
    task = _task(record.get("task"))
    settings = task.rename(record["settings"])
    checked = task.check(load(record["checkpoint"]), **settings)
    settings = settings | {n: checked[n] for n, kind in task.parameters.items() if isinstance(kind, Choice)}
    return task, record["checkpoint"], settings


def _task(name) -> Task:
    if name not in TASKS:
        raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {str(name)[:80]!r}")
    return TASKS[name]


def _parse(kind: Parameter | None, value: str):
    try:
        return float(value) if isinstance(kind, Float) else value
    except ValueError:
        return value
