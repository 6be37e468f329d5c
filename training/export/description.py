"""What a page needs to know of an exported checkpoint, and the pictures that it shows.

browser.json holds

    name, image_size, classes, groups, pairs: as of the checkpoint
    tasks: {name: {title, sentence, order, parameters, presets, class, examples, made}}; parameters {name: {kind, help,
        default, more, ...}} with the bounds, unit or options of their declaration; presets {name: {parameter: value}},
        the first to begin with, complete with defaults but for pictures, masks and required classes; class: to begin
        with, or null; examples: [{name, class, path}] of pictures to begin with, the first one first; made:
        [{caption, path}] of a result that the app has stored, with what it came from, or empty
    step: {inputs, outputs}: {name: shape} of step.onnx, "N" for the number of pictures
    starts: {class: path}; start_tensors: {name: shape}
    features: [{index, name, classes, lifts}], those that raise a logit most first; feature_sheet: {path, size,
        columns}: the picture of feature i lies in row i // columns and column i % columns, ``size`` pixels wide
    masks: {task: path}, for where the user draws none
    files: {path: {bytes, sha256}}
"""

from __future__ import annotations

import io
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from synth import checkpoint
from synth.classifier import Classifier
from synth.examples import shelf
from synth.parameters import ClassName, Parameter
from synth.pictures import to_images
from synth.randomness import Generators
from synth.tasks import TASKS, Task
from training.export import graphs, starts

EXPORTED = ("generation", "inpainting", "translation", "super_resolution", "sketch", "painting", "maximisation")
ABSENT = {
    "size": 1,
    "extent": "square",
    "resemblance": 0,
    "stop": "after all steps",
    "coarse_steps": 0,
    "momentum": 0,
    "noise": 0,
    "latent_steps": 0,
    "latent_step_size": None,
    "latent_depth": None,
}
"""Parameters that step.onnx does not follow, with the value at which they do nothing, if they have one."""
MOST_MADE = 4
"""Pictures that are shown of a result of several."""
OPTIONS = {"consistency": ("hard", "none")}
"""Those that it follows in part."""


def describe(model: Classifier) -> dict[str, Any]:
    """The content of browser.json, but for "files"."""
    folder = model.folder
    gallery = checkpoint.load_features(folder) if folder else []
    inputs, outputs = graphs.shapes(model)
    about = {
        "name": model.name,
        "image_size": model.image_size,
        "classes": model.classes,
        "groups": model.groups,
        "pairs": list(model.pairs.items()),
        "tasks": {name: _task(TASKS[name], model) for name in EXPORTED},
        "step": {"inputs": inputs, "outputs": outputs},
        "starts": {name: starts.path(i) for i, name in enumerate(model.classes)} if model.start_tensors else {},
        "start_tensors": starts.shapes(model),
        "features": [
            {"index": one.index, "name": one.caption, "classes": one.classes, "lifts": one.lifts} for one in gallery
        ],
        "masks": {name: f"masks/{name}.png" for name in _masks(model)},
    }
    if gallery and (paths := checkpoint.feature_files(folder)):
        columns = math.ceil(math.sqrt(len(gallery)))
        about["feature_sheet"] = {"path": paths[0].name, "size": gallery[0].picture.width, "columns": columns}
    return about


def files(model: Classifier) -> dict[str, bytes]:
    """{path: content} of the pictures."""
    tasks = [TASKS[name] for name in EXPORTED]
    shown = {_example(path): path.read_bytes() for task in tasks for path in _examples(task, model).values()}
    shown |= {path: image for task in tasks for path, (_, image) in _made(task, model).items()}
    if model.folder and (paths := checkpoint.feature_files(model.folder)):
        shown[paths[0].name] = paths[0].read_bytes()
    return shown | {f"masks/{name}.png": _png(image) for name, image in _masks(model).items()}


def _examples(task: Task, model: Classifier) -> dict[str, Path]:
    return shelf.examples(task, model) if "picture" in task.parameters else {}


def _example(path: Path) -> str:
    return f"examples/{path.name}"


def _class_beside(task: Task, model: Classifier, example: str) -> str | None:
    """The class to choose beside an example, None to leave it to the model."""
    kind = task.parameters.get("class_name")
    if not isinstance(kind, ClassName) or (kind.optional and not kind.every):
        return None
    target = shelf.target_class(task, model, example)
    return target if target in model.classes else shelf.first_class(model)


def _made(task: Task, model: Classifier) -> dict[str, tuple[str, bytes]]:
    """{path: (caption, content)} of the result that the app has stored for these very weights, if there is one."""
    from synth.web.stored import stored  # which the app alone is made of

    one = stored(task.name, model.name)
    if one is None:
        return {}
    frame = one.run().frame
    if "picture" in task.parameters:
        shown = [("before", task.shown_start(frame)), ("after", frame.pictures)]
    else:
        names = one.rows or [frame.settings["class_name"]] * len(frame.pictures)
        shown = list(zip(names, frame.pictures.split(1), strict=True))[:MOST_MADE]
    return {f"made/{task.name}-{index}.webp": (name, _webp(x)) for index, (name, x) in enumerate(shown)}


def _webp(x: torch.Tensor) -> bytes:
    content = io.BytesIO()
    to_images(x)[0].save(content, "WEBP", quality=90, method=6)
    return content.getvalue()


def _task(task: Task, model: Classifier) -> dict[str, Any]:
    parameters = {name: one for name, one in task.parameters.items() if name not in absent(task)}
    described = {name: _parameter(name, one, model) for name, one in parameters.items()}
    own = {"tuned": 0} | model.presets.get(task.name, {})
    known = {preset: task.defaults(model, preset) for preset in own | task.presets}
    if not any(followed(task, known[preset]) for preset in own):
        known["tuned"] = at_whole_size(known["tuned"])
    presets = {
        preset: {name: values[name] for name, one in parameters.items() if not one.required}
        for preset, values in known.items()
        if followed(task, values)
    }
    return {
        "title": task.title,
        "sentence": (type(task).__doc__ or "").splitlines()[0],
        "order": task.order,
        "parameters": described,
        "presets": presets,
        **_shown(task, model),
    }


def _shown(task: Task, model: Classifier) -> dict[str, Any]:
    """Of the description of a task: what it begins with."""
    examples = _examples(task, model)
    listed = [{"name": n, "class": _class_beside(task, model, n), "path": _example(p)} for n, p in examples.items()]
    first = shelf.first_class(model) if "class_name" in task.parameters else None
    return {
        "class": listed[0]["class"] if listed else first,
        "examples": listed,
        "made": [{"caption": caption, "path": path} for path, (caption, _) in _made(task, model).items()],
    }


def absent(task: Task) -> tuple[str, ...]:
    """Parameters of ``task`` that have no effect on an exported step."""
    return (*ABSENT, "lam") if task.name == "super_resolution" else tuple(ABSENT)  # of soft consistency


def followed(task: Task, values: dict[str, Any]) -> bool:
    """Whether an exported step does what ``values`` of the parameters of ``task`` ask for."""
    if any(values.get(name, nothing) != nothing for name, nothing in ABSENT.items() if nothing is not None):
        return False
    return all(values[name] in options for name, options in OPTIONS.items() if name in values)


def at_whole_size(values: dict[str, Any]) -> dict[str, Any]:
    """``values`` with the steps at half the size taken at the whole size too."""
    coarse = values.get("coarse_steps", 0)
    return values | {"steps": values["steps"] + coarse, "coarse_steps": 0} if coarse else values


def _parameter(name: str, parameter: Parameter, model: Classifier) -> dict[str, Any]:
    shown = {"kind": type(parameter).__name__} | asdict(parameter)
    if isinstance(parameter, ClassName):
        shown["optional"] = not parameter.required
    if name in OPTIONS:
        shown["options"] = OPTIONS[name]
    elif name == "start":
        shown["options"] = model.starts
    elif name == "feature":
        shown["maximum"] = model.head.in_features - 1
    return shown


def _masks(model: Classifier) -> dict[str, Image.Image]:
    picture, masks = torch.zeros(1, 3, model.image_size, model.image_size), {}
    for name in EXPORTED:
        mask = TASKS[name].default_mask(picture, Generators(0))
        if mask is not None:
            masks[name] = to_images(mask.expand(-1, 3, -1, -1))[0].convert("L")
    return masks


def _png(image: Image.Image) -> bytes:
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()
