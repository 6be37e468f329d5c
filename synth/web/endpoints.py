"""The API: every task is an endpoint of its name, with the parameters that it declares."""

from __future__ import annotations

import inspect
import tempfile
from uuid import uuid4

import gradio as gr

from synth import TASKS, Task
from synth.parameters import Float, Mask, Picture
from synth.web.running import first_checkpoint, stream
from synth.web.views import album, sheet, zoom

QUEUE = {"concurrency_id": "model", "concurrency_limit": 32}
"""Runs line up in ``running.LINE``, which tells people their place; gradio's own limit is there for the rest."""


def endpoints() -> None:
    """Each task under its name, with ``checkpoint``, its parameters and ``preset``, all optional there.

    On components that nobody sees and that check nothing, so that our own sentences reach the caller.
    """
    text, number, upload = (component(visible=False) for component in (gr.Textbox, gr.Number, gr.File))
    outputs = [gr.Image(label="picture", format="png", visible=False), gr.Textbox(label="status", visible=False)]
    for task in TASKS.values():
        kinds = [*task.parameters.values(), None]  # the last is for the preset
        given = [upload if isinstance(k, (Picture, Mask)) else number if isinstance(k, Float) else text for k in kinds]
        # Unprocessed: values come as they were sent, and gr.File does not leave an empty file behind for each.
        about = {"api_name": task.name, "api_description": task.__doc__, "preprocess": False}
        gr.Button(visible=False).click(endpoint(task), [text, *given], outputs, **about, **QUEUE)


def endpoint(task: Task):
    """The function behind one endpoint; gradio reads the names of its parameters from its signature."""
    names = [*task.parameters, "preset"]
    files = [name for name, kind in task.parameters.items() if isinstance(kind, (Picture, Mask))]

    def call(checkpoint, *values):
        settings = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        settings |= {name: settings[name]["path"] for name in files if name in settings}
        with tempfile.TemporaryDirectory() as folder, album() as keep:
            for frame, status in stream(task, str(checkpoint or first_checkpoint()), settings):
                if frame is not None and status.startswith("done"):
                    frame.save(path := f"{folder}/{uuid4().hex}.png", zoom=zoom(frame))
                    yield path, status
                else:
                    yield None if frame is None else keep(sheet(frame)), status

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    call.__name__ = task.name
    call.__signature__ = inspect.Signature([inspect.Parameter(n, kind, default=None) for n in ("checkpoint", *names)])
    return call
