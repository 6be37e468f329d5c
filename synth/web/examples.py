"""Examples to start from, below the picture that they fill."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import gradio as gr
from PIL import Image

from synth import Classifier, Task, checkpoint
from synth.drawings import sketches, styles
from synth.parameters import Picture
from synth.web.checkpoints import load
from synth.web.editor import enlarge, parse_editor
from synth.web.events import PRIVATE, show_errors


def examples(task: Task, model: Classifier, parameter: str = "picture") -> dict[str, Image.Image]:
    """Pictures for ``parameter``, by what they show: the checkpoint's own, the first of ``pairs`` first.

    Drawings where there are none or for tasks that want them; styles, or the last picture first, where declared.
    """
    kind = task.parameters[parameter]
    assert isinstance(kind, Picture)  # nothing else has examples
    images: Mapping[str, Image.Image | Path]
    if kind.shelf == "styles":
        images = styles()
    else:
        files = {} if task.drawn or model.folder is None else checkpoint.examples(model.folder)
        names = [name for name in model.pairs if name in files] or list(files)
        images = {name: files[name] for name in names} or sketches(model.classes)
    order = list(images)[::-1] if kind.shelf == "others" else list(images)
    return {name: enlarge(images[name]) for name in order}


def needs_class(task: Task) -> bool:
    """Whether a run needs a class, which an example brings along."""
    return "class_name" in task.parameters and not task.parameters["class_name"].optional


def checksum(image: Image.Image) -> int:
    return zlib.crc32(image.convert("RGB").tobytes())


def is_unchanged(value: Image.Image | dict | None, example: int) -> bool:
    """Whether a control, by its ``value``, still holds the example of that checksum and nobody painted on it."""
    picture, paint = parse_editor(value) if isinstance(value, dict) else (value, None)
    return picture is not None and paint is None and checksum(picture) == example


class ExampleGallery:
    """Thumbnails of the examples for ``parameter``; a click puts one in its control and chooses a class beside it.

    checksum: of the example that the page put in the control.
    """

    def __init__(self, task: Task, parameter: str, model: Classifier):
        self.task, self.parameter = task, parameter
        self.brings_class = parameter == "picture" and needs_class(task)
        self.gallery = gr.Gallery(
            self.thumbnails(model), label="Or start from one of these", format="png", height="auto",
            allow_preview=False, object_fit="contain", buttons=[], elem_classes="picture shelf",
        )  # fmt: skip
        self.checksum = gr.State(checksum(next(iter(examples(task, model, parameter).values()))))

    def thumbnails(self, model: Classifier) -> list[tuple]:
        """The examples with what they show, or what they turn into, as captions."""
        thumbnails = []
        for name, image in examples(self.task, model, self.parameter).items():
            target = self.task.target_class(model, name) if self.task.shows_target else name
            caption = name if target == name else f"{name} \u2192 {target}"
            thumbnails.append((image.resize((128, 128), Image.Resampling.BOX), caption))
        return thumbnails

    def connect(self, checkpoint: gr.Dropdown, controls: dict) -> None:
        """Wire the clicks, once all controls are there."""
        outputs = [self.checksum, controls[self.parameter], *([controls["class_name"]] if self.brings_class else [])]
        self.gallery.select(self._choose, checkpoint, outputs, **PRIVATE)

    def _choose(self, checkpoint: str, at: gr.SelectData) -> list:
        with show_errors():
            model = load(checkpoint)
            name, image = list(examples(self.task, model, self.parameter).items())[at.index]
        target = self.task.target_class(model, name)
        return [checksum(image), image, *([target if target in model.classes else gr.skip()] * self.brings_class)]
