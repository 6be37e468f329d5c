"""A component for every kind of parameter, at the values of a preset."""

from __future__ import annotations

import math

import gradio as gr

from synth import RobustClassifier, Task
from synth.parameters import Choice, ClassName, Float, Int, Mask, Parameter, Picture, Unit


def control(name: str, kind: Parameter, model: RobustClassifier, value) -> gr.components.Component:
    """The component for a parameter; returned from a handler, it updates the one on the page."""
    label = {"lam": "Lambda", "class_name": "Class"}.get(name, name.replace("_", " ").capitalize())
    words = {"label": f"{label} ({kind.unit})" if kind.unit else label, "info": kind.help}
    if isinstance(kind, ClassName):
        blank = [(kind.blank.capitalize(), "")] if kind.optional else []
        known = value if value in model.classes else "" if blank else model.classes[0]
        return gr.Dropdown([*blank, *((name, name) for name in model.classes)], value=known, **words)
    if isinstance(kind, Choice):
        return gr.Dropdown(list(kind.options), value=value, **words)
    if isinstance(kind, Int) and kind.maximum > 10_000:
        return gr.Number(value, precision=0, **words)
    if isinstance(kind, Float):
        maximum = model.head.in_features - 1 if isinstance(kind, Unit) else kind.maximum
        minimum = math.ceil(kind.minimum / kind.step) * kind.step  # or the slider's stops would not be round numbers
        return gr.Slider(minimum, maximum, value=value, step=kind.step, **words)
    if isinstance(kind, (Picture, Mask)):
        upload = {"image_mode": None, "type": "pil", "format": "png", "sources": ["upload", "clipboard"]}
        return gr.Image(value, label=kind.help, height=360, elem_classes="picture", **upload)
    raise TypeError(f"no component for {type(kind).__name__}")


def controls_at(task: Task, names: list[str], model: RobustClassifier, preset: str = "tuned", **kept) -> list:
    """Controls for ``names`` at the preset's values, or at those that are ``kept``."""
    values = task.defaults(model, preset) | kept
    return [control(name, task.parameters[name], model, values[name]) for name in names]


def presets(task: Task, model: RobustClassifier) -> list[str]:
    """Names of the task's presets with this checkpoint, the default first."""
    return list({"tuned": 0} | task.presets | model.presets.get(task.name, {}))
