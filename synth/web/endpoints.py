"""The API: every task is an endpoint of its name, with the parameters that it declares."""

from __future__ import annotations

import inspect

import gradio as gr

from synth import TASKS, Task, hub, pictures
from synth.parameters import Float, Mask, Picture
from synth.web.checkpoints import load
from synth.web.events import QUEUE, sentences
from synth.web.running import Waiting, describe, stream
from synth.web.views import file_name, image_files, new_file, zoom


def add_endpoints() -> None:
    """Each task under its name, with ``checkpoint``, its parameters and ``preset``, all optional there; and two lists.

    On components that nobody sees and that check nothing, so that our own sentences reach the caller.
    """
    text, number, upload = (component(visible=False) for component in (gr.Textbox, gr.Number, gr.File))
    described = upload.api_info()  # its model of a file would refuse anything else without a sentence of ours
    upload.data_model, upload.api_info = None, lambda: described
    outputs = [gr.Image(label="picture", format="png", visible=False), gr.Textbox(label="status", visible=False)]
    outputs.append(gr.Gallery(label="pictures", format="png", visible=False))
    model = load(hub.default())
    for task in TASKS.values():
        kinds = [*task.parameters.values(), None]  # the last is for the preset
        inputs = [upload if isinstance(k, (Picture, Mask)) else number if isinstance(k, Float) else text for k in kinds]
        # Unprocessed: values come as they were sent, and gr.File does not leave an empty file behind for each.
        words = (
            f"{task.describe(task.defaults(model))}\nThe defaults are those of {model.name}, the default checkpoint."
        )
        about = {"api_name": task.name, "api_description": words, "preprocess": False}
        gr.Button(visible=False).click(endpoint(task), [text, *inputs], outputs, **about, **QUEUE)
    gr.api(checkpoints, api_name="checkpoints")
    gr.api(classes, api_name="classes")


def checkpoints() -> list[str]:
    """Names of the checkpoints that can be chosen, the default first; a folder or owner/name on the Hub works too."""
    return hub.selectable()


def classes(checkpoint: str = "") -> list[str]:
    """Names of the classes that a checkpoint knows, of the default one if none is named."""
    with sentences():
        return load(checkpoint or hub.default()).classes


def endpoint(task: Task):
    """The function behind one endpoint; gradio reads the names of its parameters from its signature."""
    names = [*task.parameters, "preset"]
    files = [name for name, kind in task.parameters.items() if isinstance(kind, (Picture, Mask))]

    def call(checkpoint, *values):
        settings = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        with sentences():
            settings |= {name: uploaded(name, settings[name]) for name in files if name in settings}
        with image_files() as save:
            shown, sheet = None, None
            for progress in stream(task, str(checkpoint or hub.default()), settings):
                if isinstance(progress, Waiting):
                    yield None, describe(progress), None
                    continue
                frame = progress.frame
                if not progress.done:
                    if frame is not shown:
                        shown, sheet = frame, save(pictures.sheet(frame.pictures, zoom=zoom(frame)))
                    yield sheet, describe(progress), None
                    continue
                path, single = (new_file(save.folder, f"{file_name(frame.record)}.png") for _ in range(2))
                frame.save(path, zoom=zoom(frame))
                singles = [single.with_stem(f"{single.stem}-{number}") for number, _ in enumerate(frame.images, 1)]
                for image, one in zip(frame.images, singles, strict=True):
                    frame.record.save(image, one)
                yield str(path), describe(progress), [str(one) for one in singles]

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(n, kind, default=None) for n in ("checkpoint", *names)]
    call.__name__ = task.name
    vars(call)["__signature__"] = inspect.Signature(parameters)
    return call


def uploaded(name: str, value) -> str:
    """The path of an uploaded file; ValueError for anything else, such as a path on the caller's own machine.

    gradio has checked that a file with this mark was uploaded.
    """
    path = value.get("path") if isinstance(value, dict) and value.get("meta") == {"_type": "gradio.FileData"} else None
    if isinstance(path, str) and path:
        return path
    shown = pictures.show_value(value)
    raise ValueError(
        f"{name}: expected an uploaded file, such as gradio_client.handle_file makes of a path, got {shown}"
    )
