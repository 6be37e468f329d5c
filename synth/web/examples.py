"""Examples to start from, below the picture that they fill."""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from synth import Classifier, Task, pictures
from synth.examples import PHOTOGRAPHS
from synth.examples.shelf import examples, needs_class, target_class
from synth.parameters import Picture
from synth.web.checkpoints import load
from synth.web.editor import parse_editor, prepare
from synth.web.events import PRIVATE, show_errors
from synth.web.views import shared_file

NOISE = 40
"""Standard deviation, of 255, of the noise on the noisy ones."""


def example(task: Task, model: Classifier, parameter: str, name: str) -> Image.Image:
    """The example called ``name``, enlarged for the page, and noisy where that is declared."""
    image = pictures.read(examples(task, model, parameter)[name])
    kind = task.parameters[parameter]
    noisy = isinstance(kind, Picture) and kind.shelf == "noisy"
    if "factor" in task.parameters and name in PHOTOGRAPHS:  # as small as the task wants it
        side = model.image_size // task.defaults(model)["factor"]
        image = ImageOps.fit(image, (side, side), Image.Resampling.BOX)
    return prepare(add_noise(image) if noisy else image, "extent" in task.parameters and parameter == "picture")


def add_noise(image: Image.Image) -> Image.Image:
    """The same noise for the same picture."""
    noise = np.random.default_rng(0).normal(0, NOISE, (image.height, image.width, 3))
    return Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))


@lru_cache(maxsize=4096)
def thumbnail(path: Path, noisy: bool) -> str:
    """A small file of the picture in ``path``."""
    image = pictures.read(path)
    image = add_noise(image) if noisy else image
    return shared_file(ImageOps.fit(image, (128, 128), Image.Resampling.BICUBIC))


def checksum(shown: Image.Image | dict | None) -> tuple[int, int]:
    """Of the picture that a control holds, and of the paint on it; 0 for none."""
    picture, paint = parse_editor(shown) if isinstance(shown, dict) else (shown, None)
    return (
        0 if picture is None else zlib.crc32(picture.convert("RGB").tobytes()),
        0 if paint is None else zlib.crc32(paint.tobytes()),
    )


def is_unchanged(value: Image.Image | dict | None, example: tuple[int, int]) -> bool:
    """Whether a control, by its ``value``, still holds what has the checksum ``example``, or that without its paint."""
    picture, paint = checksum(value)
    return picture != 0 and picture == example[0] and paint in (0, example[1])


def is_empty(value: Image.Image | dict | None) -> bool:
    """Whether a control, by its ``value``, holds no picture and no paint."""
    return parse_editor(value) == (None, None) if isinstance(value, dict) else value is None


class ExampleGallery:
    """Thumbnails of the examples for ``parameter``; a click puts one in its control and chooses a class beside it.

    shown: what the control begins with; checksum: of what the page put in the control.
    """

    def __init__(self, task: Task, parameter: str, model: Classifier, shown: Image.Image | dict):
        self.task, self.parameter = task, parameter
        self.brings_class = parameter == "picture" and "class_name" in task.parameters
        self.gallery = gr.Gallery(
            self.thumbnails(model), label="Or start from one of these", height="auto", allow_preview=False,
            object_fit="cover", buttons=[], interactive=False, elem_classes="picture shelf",
        )  # fmt: skip
        self.checksum = gr.State(checksum(shown))

    def thumbnails(self, model: Classifier) -> list[tuple]:
        """The examples with what they show, or what they turn into, as captions."""
        kind, thumbnails = self.task.parameters[self.parameter], []
        noisy = isinstance(kind, Picture) and kind.shelf == "noisy"
        for name, path in examples(self.task, model, self.parameter).items():
            target = target_class(self.task, model, name) if self.task.shows_target else name
            made = model.folder is not None and path.is_relative_to(model.folder)
            shown = f"{name} (made)" if made else name
            caption = shown if target == name else f"{shown} \u2192 {target}"
            thumbnails.append((thumbnail(path, noisy), caption))
        return thumbnails

    def connect(self, checkpoint: gr.Dropdown, controls: dict) -> None:
        """Wire the clicks, once all controls are there."""
        outputs = [self.checksum, controls[self.parameter], *([controls["class_name"]] if self.brings_class else [])]
        self.gallery.select(self._choose, checkpoint, outputs, **PRIVATE)

    def _choose(self, checkpoint: str, at: gr.SelectData) -> list:
        with show_errors():
            model = load(checkpoint)
            name = list(examples(self.task, model, self.parameter))[at.index]
            image = example(self.task, model, self.parameter, name)
        target = target_class(self.task, model, name)
        brings = needs_class(self.task, model) and target in model.classes
        return [checksum(image), image, *([target if brings else gr.skip()] * self.brings_class)]
