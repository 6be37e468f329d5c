"""Examples to start from, below the picture that they fill."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import gradio as gr
from PIL import Image

from synth import Classifier, Task
from synth.web.editor import examples, parse_editor
from synth.web.running import load, one_sentence

SHELF = {
    "format": "png",
    "height": "auto",
    "allow_preview": False,
    "object_fit": "contain",
    "buttons": [],
    "elem_classes": "picture shelf",
}


@dataclass(frozen=True)
class Shelf:
    """Examples to start from, and the checksum of the one that the page put in the picture's place."""

    gallery: gr.Gallery
    placed: gr.State


def place_shelf(task: Task, model: Classifier, name: str) -> Shelf:
    """The shelf of the parameter ``name``, put where it is called; its first example is taken."""
    gallery = gr.Gallery(shelved(task, model, name), label="Or start from one of these", **SHELF)
    return Shelf(gallery, gr.State(checksum(next(iter(examples(task, model, name).values())))))


def checksum(image: Image.Image) -> int:
    return zlib.crc32(image.convert("RGB").tobytes())


def untouched(shown: Image.Image | dict | None, placed: int) -> bool:
    """Whether a control, by what it sends, still holds the example with that checksum and nobody painted on it."""
    picture, paint = parse_editor(shown) if isinstance(shown, dict) else (shown, None)
    return picture is not None and paint is None and checksum(picture) == placed


def chooser(task: Task, name: str, goal: bool) -> Callable:
    """A handler that gives the example that was clicked, as a checksum and as a picture.

    With ``goal``, also the class to choose beside it.
    """

    def chosen(checkpoint: str, at: gr.SelectData) -> list:
        with one_sentence():
            model = load(checkpoint)
            example, image = list(examples(task, model, name).items())[at.index]
            target = task.target_class(model, example)
        return [checksum(image), image, *([target if target in model.classes else gr.skip()] if goal else [])]

    return chosen


def shelved(task: Task, model: Classifier, name: str = "picture") -> list[tuple]:
    """The examples with what they show, or what they turn into, below."""
    found = examples(task, model, name)
    goals = {name: task.target_class(model, name) for name in found if task.shows_target}
    captions = {name: f"{name} \u2192 {goals[name]}" if goals.get(name, name) != name else name for name in found}
    return [(image.resize((128, 128), Image.Resampling.BOX), captions[name]) for name, image in found.items()]
