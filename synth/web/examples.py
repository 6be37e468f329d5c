"""Examples to start from, below the picture that they fill."""

from __future__ import annotations

import zlib
from functools import lru_cache
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image, ImageOps

from synth import Classifier, Task, checkpoint, pictures
from synth.examples import PHOTOGRAPHS, becoming, photograph_files, sketch_files, style_files
from synth.parameters import ClassName, Picture
from synth.web.checkpoints import load
from synth.web.controls import FEW, LARGE
from synth.web.editor import is_photograph, parse_editor, prepare
from synth.web.events import PRIVATE, show_errors
from synth.web.views import shared_file

FIRST: dict[str, dict[str, tuple[str, ...]]] = {
    "sketch": {"picture": ("church", "goldfish")},
    "translation": {"picture": ("lion", "corgi", "golden retriever")},
    "painting": {"picture": ("monarch", "horse", "wood")},
    "style_transfer": {"picture": ("cat",)},
    "denoising": {"picture": ("raccoon",)},
    "interpolation": {"picture": ("alp", "raccoon's face"), "other": ("cliff", "cat's face")},
    "inpainting": {"picture": ("lion", "horse", "shepherd")},
    "super_resolution": {"picture": ("lion", "horse", "raccoon's face")},
    "maximisation": {"picture": ("lion", "shepherd", "golden retriever", "garbage truck")},
    "reconstruction": {"picture": ("king penguin", "cat's face")},
    "anomaly_detection": {"picture": ("lion", "church")},
}
"""Examples that tasks begin with, chosen by looking at all of them; else the first of the checkpoint's pairs."""
NOISE = 30
"""Standard deviation, of 255, of the noise on the noisy ones."""


def examples(task: Task, model: Classifier, parameter: str = "picture") -> dict[str, Path]:
    """Files of pictures for ``parameter``, by what they show, the one to begin with first.

    Photographs, of a class of the checkpoint's where the task asks for a class, and the checkpoint's own pictures.
    Drawings where there are none or for tasks that want them; styles, or the last picture first, where declared.
    """
    kind = task.parameters[parameter]
    assert isinstance(kind, Picture)  # nothing else has examples
    if kind.shelf == "styles":
        return style_files()
    own = {} if task.drawn or model.folder is None else checkpoint.examples(model.folder)
    if not own:
        own = sketch_files(model.classes)
    plain = task.drawn or (kind.shelf == "others" and model.image_size < LARGE)
    photographs = {} if plain else _photographs(task, model)
    names = [name for name in model.pairs if name in own] or list(own)
    names = [*(names[::-1] if kind.shelf == "others" else names), *own]
    first = FIRST.get(task.name, {}).get(parameter, ())
    if _photographs_come_first(task, model):
        order = [*first, *photographs, *names]
    else:
        order = [*(name for name in first if name in own), *names, *photographs]
    files = photographs | own
    return {name: files[name] for name in dict.fromkeys(order) if name in files}


def _photographs_come_first(task: Task, model: Classifier) -> bool:
    """Whether photographs come first: they are worked on as a whole, or as large as a person looks at."""
    whole = "extent" in task.parameters and not {"mask", "factor"} & task.parameters.keys()
    return whole or model.image_size >= LARGE


def _photographs(task: Task, model: Classifier) -> dict[str, Path]:
    """Those that the task can begin with: with a class to turn them into if it needs one, and not huge in the end."""
    files = photograph_files()
    if needs_class(task, model):
        files = {name: path for name, path in files.items() if becoming(name, model.classes)}
    if "factor" in task.parameters:
        files = {name: path for name, path in files.items() if not is_photograph(pictures.read(path))}
    return files


def target_class(task: Task, model: Classifier, example: str) -> str:
    """The class to choose beside an example."""
    return becoming(example, model.classes) or task.target_class(model, example)


def first_example(task: Task, model: Classifier, parameter: str = "picture") -> str:
    """The name of the example that ``parameter`` begins with."""
    return next(iter(examples(task, model, parameter)))


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


def needs_class(task: Task, model: Classifier) -> bool:
    """Whether an example brings a class along: where a run needs one, or would make too many at once."""
    kind = task.parameters.get("class_name")
    return isinstance(kind, ClassName) and (not kind.optional or (kind.every and len(model.classes) > FEW))


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
            caption = name if target == name else f"{name} \u2192 {target}"
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
