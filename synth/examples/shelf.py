"""Which examples each task begins with, and the class beside each of them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from synth import checkpoint
from synth.classifier import Classifier
from synth.examples import becoming, photograph_files, sketch_files, style_files
from synth.parameters import ClassName, Picture
from synth.tasks import Task

FIRST: dict[str, dict[str, tuple[str, ...]]] = {
    "sketch": {"picture": ("church", "goldfish")},
    "translation": {"picture": ("lion", "wood", "shepherd", "corgi")},
    "painting": {"picture": ("monarch", "horse", "wood")},
    "style_transfer": {"picture": ("cat",)},
    "denoising": {"picture": ("raccoon's face", "cat")},
    "interpolation": {"picture": ("alp", "raccoon's eyes"), "other": ("cliff", "cat's face")},
    "inpainting": {"picture": ("lion", "horse", "retriever")},
    "super_resolution": {"picture": ("lion", "horse", "retriever's face", "cat's face")},
    "maximisation": {"picture": ("lion", "wood", "shepherd", "golden retriever", "garbage truck")},
    "reconstruction": {"picture": ("king penguin", "shepherd", "cat's face")},
    "anomaly_detection": {"picture": ("bullfrog", "shepherd with a sticker")},
}
"""Examples that tasks begin with, chosen by looking at all of them; else the first of the checkpoint's pairs."""
ALONE = {"shepherd with a sticker": "anomaly_detection", "raccoon's eyes": "interpolation"}
"""Photographs that are made for one task."""
FIRST_CLASSES = ("church", "king penguin")
"""Classes to show first, chosen by looking at samples of all; else the first of the checkpoint's pairs."""
FEW = 12
"""Classes that a run can show all at once; of more than these, one is chosen at first."""
LARGE = 128
"""Sides in pixels from which on a photograph is worth more than a sample."""


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
    files = {name: path for name, path in photograph_files().items() if ALONE.get(name, task.name) == task.name}
    if needs_class(task, model):
        files = {name: path for name, path in files.items() if becoming(name, model.classes)}
    if "factor" in task.parameters:
        files = {name: path for name, path in files.items() if _is_square(path)}
    return files


def _is_square(path: Path) -> bool:
    with Image.open(path) as image:
        return image.width == image.height


def first_example(task: Task, model: Classifier, parameter: str = "picture") -> str:
    """The name of the example that ``parameter`` begins with."""
    return next(iter(examples(task, model, parameter)))


def first_class(model: Classifier) -> str:
    """The class to show first."""
    return next((name for name in (*FIRST_CLASSES, *model.pairs) if name in model.classes), model.classes[0])


def target_class(task: Task, model: Classifier, example: str) -> str:
    """The class to choose beside an example."""
    return becoming(example, model.classes) or task.target_class(model, example)


def needs_class(task: Task, model: Classifier) -> bool:
    """Whether an example brings a class along: where a run needs one, or would make too many at once."""
    kind = task.parameters.get("class_name")
    return isinstance(kind, ClassName) and (not kind.optional or (kind.every and len(model.classes) > FEW))
