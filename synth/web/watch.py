"""Looking at a finished run: scrubbing through it, before and after, plots, and files of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass

import gradio as gr
import pandas as pd

from synth import Task
from synth.history import History, save_zip
from synth.web.editor import PRIVATE
from synth.web.running import load
from synth.web.views import picked, sheet, width

KEPT = 1800
"""Seconds for which a finished run can be looked at; then its memory is freed."""
SHOWN_CLASSES = 5
"""Classes in the plot: those that were ever the most probable."""


@dataclass(frozen=True)
class Run:
    """What a tab remembers of its last run, and which of its pictures is chosen."""

    history: History | None = None
    chosen: int = 0


class Watch:
    """The components; ``memory`` holds the ``Run`` of this visitor's tab."""

    def __init__(self, task: Task, memory: gr.State, scrub: gr.Slider, result: gr.Image, status: gr.Markdown):
        self.task = task
        with gr.Accordion("Look closer", open=False):
            gr.Markdown("Of several pictures, click the one that the plots are to be about.")
            self.slider = gr.ImageSlider(label="Before and after", visible=False, format="png", elem_classes="picture")
            axes = {"x": "step", "height": 250, "elem_classes": "plot"}
            self.plots = [
                gr.LinePlot(y="probability", color="class", label="How probable the model finds each class", **axes),
                gr.LinePlot(y="loss", label="Loss", **axes),
                gr.LinePlot(y="distance", color="line", label="Distance from the start (L2)", **axes),
            ]
            with gr.Row():
                gif = gr.Button("GIF of the run", min_width=120)
                archive = gr.Button("ZIP of the pictures", min_width=120)
            made = gr.File(label="Made for you", visible=False, interactive=False, elem_classes="made")
        self.outputs = [memory, scrub, self.slider, *self.plots]

        live = {"trigger_mode": "always_last", "queue": False, **PRIVATE}
        scrub.input(scrubbed, [memory, scrub], [result, status], **live)
        result.select(self._chosen, memory, [memory, status, *self.plots], **PRIVATE)
        gif.click(self._gif, memory, made, **PRIVATE)
        archive.click(self._zip, memory, made, **PRIVATE)

    def finished(self, history: History, keep) -> dict:
        """Updates for a run that came to its end."""
        frame, one = history.last, len(history.last.pictures) == 1
        pair = (keep(sheet(frame, frame.start)), keep(sheet(frame))) if one else None
        updates = [Run(history), gr.Slider(0, frame.step, frame.step, visible=True), gr.ImageSlider(pair, visible=one)]
        return dict(zip(self.outputs, [*updates, *plots(history, 0)], strict=True))

    def _chosen(self, run: Run, at: gr.SelectData):
        if run.history is None:
            return gr.skip()
        chosen = picked(run.history.last, *at.index)
        return [Run(run.history, chosen), f"picture {chosen + 1} is chosen", *plots(run.history, chosen)]

    def _gif(self, run: Run):
        yield from self._made(run, "gif", lambda path: run.history.save_gif(path, side=width(run.history.last)))

    def _zip(self, run: Run):
        yield from self._made(run, "zip", lambda path: save_zip(run.history.last, path))

    def _made(self, run: Run, kind: str, save):
        if run.history is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        with tempfile.TemporaryDirectory() as folder:
            save(path := f"{folder}/{self.task.name}.{kind}")
            yield gr.File(path, visible=True)


def scrubbed(run: Run, step: int):
    """The kept pictures nearest to ``step``, and the words for it."""
    if run.history is None:
        return gr.skip()
    index = run.history.nearest(step)
    return run.history.sheet(index, side=width(run.history.last)), f"step {run.history.steps[index]} of the run"


def plots(history: History, chosen: int) -> list[pd.DataFrame]:
    """Class probabilities, loss and distance of one picture over the steps."""
    record, steps = history.last.settings, history.steps
    model = load(record["checkpoint"])
    seen = history.probabilities(model, chosen)
    shown = seen.max(0).values.topk(min(SHOWN_CLASSES, len(model.classes))).indices.sort().values.tolist()
    lines = [
        {"step": step, "class": model.classes[index], "probability": p.item()}
        for index in shown
        for step, p in zip(steps, seen[:, index], strict=True)
    ]
    away = [
        {"step": s, "distance": d, "line": "distance"} for s, d in zip(steps, history.distances(chosen), strict=True)
    ]
    away += [{"step": s, "distance": record["settings"]["epsilon"], "line": "epsilon"} for s in (steps[0], steps[-1])]
    losses = [{"step": s, "loss": value} for s, value in zip(steps, history.losses(chosen), strict=True)]
    return [pd.DataFrame(rows) for rows in (lines, losses, away)]
