"""The API: every task is an endpoint of its name, with the parameters that it declares."""

from __future__ import annotations

import inspect
import tempfile
from uuid import uuid4

import gradio as gr

from synth import TASKS, Task
from synth.parameters import Float, Mask, Picture
from synth.web.checkpoints import first_checkpoint
from synth.web.events import QUEUE
from synth.web.running import Waiting, describe, stream
from synth.web.views import image_files, sheet, zoom


def add_endpoints() -> None:
    """Each task under its name, with ``checkpoint``, its parameters and ``preset``, all optional there.

    On components that nobody sees and that check nothing, so that our own sentences reach the caller.
    """
    text, number, upload = (component(visible=False) for component in (gr.Textbox, gr.Number, gr.File))
    outputs = [gr.Image(label="picture", format="png", visible=False), gr.Textbox(label="status", visible=False)]
    for task in TASKS.values():
        kinds = [*task.parameters.values(), None]  # the last is for the preset
        inputs = [upload if isinstance(k, (Picture, Mask)) else number if isinstance(k, Float) else text for k in kinds]
        # Unprocessed: values come as they were sent, and gr.File does not leave an empty file behind for each.
        about = {"api_name": task.name, "api_description": task.__doc__, "preprocess": False}
        gr.Button(visible=False).click(endpoint(task), [text, *inputs], outputs, **about, **QUEUE)


def endpoint(task: Task):
    """The function behind one endpoint; gradio reads the names of its parameters from its signature."""
    names = [*task.parameters, "preset"]
    files = [name for name, kind in task.parameters.items() if isinstance(kind, (Picture, Mask))]

    def call(checkpoint, *values):
        settings = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        settings |= {name: settings[name]["path"] for name in files if name in settings}
        with tempfile.TemporaryDirectory() as folder, image_files() as save:
            for progress in stream(task, str(checkpoint or first_checkpoint()), settings):
                if isinstance(progress, Waiting):
                    yield None, describe(progress)
                elif progress.done:
                    path, frame = f"{folder}/{uuid4().hex}.png", progress.frame
                    frame.save(path, zoom=zoom(frame))
                    yield path, describe(progress)
                else:
                    yield save(sheet(progress.frame)), describe(progress)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(n, kind, default=None) for n in ("checkpoint", *names)]
    call.__name__ = task.name
    vars(call)["__signature__"] = inspect.Signature(parameters)
    return call
