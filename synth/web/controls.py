"""A component for every kind of parameter, at the values of a preset."""

from __future__ import annotations

import math
from collections.abc import Iterable

import gradio as gr

from synth import Classifier, Task, hub
from synth.examples.shelf import FEW, LARGE, first_class
from synth.parameters import Choice, ClassName, Depth, FeatureIndex, Float, Int, Mask, Normal, Parameter, Picture, Twin
from synth.web.words import label

SEVERAL = 4
"""Of large pictures, no more than this many are made at first, since each takes seconds."""

DEPENDENT = (ClassName, Depth, FeatureIndex, Normal)
"""Kinds whose choices or bounds are those of a checkpoint."""


def control(name: str, kind: Parameter, model: Classifier, value) -> gr.components.Component:
    """The component for a parameter; returned from a handler, it updates the one on the page."""
    words = {"label": label(name, kind)}
    if kind.help != f"{words['label']}.":
        words["info"] = kind.help
    if isinstance(kind, Normal):
        return gr.Dropdown([(kind.blank.capitalize(), ""), *kind.names(model)], value=value or "", **words)
    if isinstance(kind, Twin):
        others = [("Its ordinary twin, if there is one", ""), ("None", "none"), *hub.selectable()]
        return gr.Dropdown(others, value=value, allow_custom_value=True, **words)
    if isinstance(kind, ClassName):
        blank = [(kind.blank.capitalize(), "")] if kind.optional else []
        known = value if value in model.classes else "" if blank else first_class(model)
        return gr.Dropdown([*blank, *class_choices(model)], value=known, **words)
    if isinstance(kind, Choice):
        return gr.Dropdown(list(kind.options), value=value, **words)
    if isinstance(kind, Int) and kind.maximum > 10_000:
        return gr.Number(value, precision=0, **words)
    if isinstance(kind, Float):
        maximum = model.head.in_features - 1 if isinstance(kind, FeatureIndex) else kind.maximum
        if isinstance(kind, Depth):
            maximum = 4 if model.decoder is None else model.decoder.depth
        minimum = math.ceil(kind.minimum / kind.step) * kind.step  # or the slider's stops would not be round numbers
        return gr.Slider(minimum, maximum, value=value, step=kind.step, **words)
    if isinstance(kind, (Picture, Mask)):
        upload = {"image_mode": None, "type": "pil", "format": "png", "sources": ["upload", "clipboard"]}
        return gr.Image(value, label=kind.help, height=380, elem_classes="picture input", buttons=[], **upload)
    raise TypeError(f"no component for {type(kind).__name__}")


def class_choices(model: Classifier) -> list[tuple[str, str]]:
    """(shown, name) of every class, superclass by superclass, so that typing "dog" finds all dogs."""
    groups = [*model.groups, ""]
    order = sorted(model.classes, key=lambda name: groups.index(model.group(name)))
    return [(f"{name} ({model.group(name)})" if model.group(name) else name, name) for name in order]


def controls_at(task: Task, names: Iterable[str], model: Classifier, preset: str = "tuned", **kept) -> list:
    """Controls for ``names`` at the preset's values, or at those that are ``kept``."""
    values = values_at(task, model, preset) | kept
    return [control(name, task.parameters[name], model, values[name]) for name in names]


def updates_at(task: Task, names: Iterable[str], model: Classifier, preset: str = "tuned", **kept) -> list:
    """What makes the controls on the page those that ``controls_at`` returns, whatever checkpoint they were for.

    Values alone, where nothing else depends on the checkpoint: the page takes its time over everything that it is told.
    """
    values, kinds = values_at(task, model, preset) | kept, task.parameters
    return [
        control(name, kinds[name], model, values[name]) if isinstance(kinds[name], DEPENDENT) else values[name]
        for name in names
    ]


def values_at(task: Task, model: Classifier, preset: str) -> dict:
    """What the page begins with: the preset's values, but classes and numbers that suit a first click."""
    values, kinds = task.defaults(model, preset), task.parameters
    for name, kind in kinds.items():
        if isinstance(kind, ClassName) and kind.every and len(model.classes) > FEW:
            values[name] = first_class(model)
        if isinstance(kind, Normal):
            values[name] = next(iter(kind.names(model)), None)  # a verdict on one kind is plainer than on all
    if {"count", "steps"} <= kinds.keys() and model.image_size >= LARGE:
        values["count"] = min(values["count"], SEVERAL)
    return values


def presets(task: Task, model: Classifier) -> list[str]:
    """Names of the task's presets with this checkpoint, the default first."""
    return list({"tuned": 0} | task.presets | model.presets.get(task.name, {}))
