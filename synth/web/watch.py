"""Looking at a finished run: scrubbing through it, before and after, plots, and files of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from functools import partial

import gradio as gr
import pandas as pd

from synth import Frame, Task
from synth.recorder import Recorder, save_zip
from synth.web.editor import PRIVATE
from synth.web.running import computed
from synth.web.views import picked, sheet, zoom

KEPT = 1800
"""Seconds for which a finished run can be looked at; then its memory is freed."""


@dataclass(frozen=True)
class Run:
    """What a tab remembers of its last run: how it went, its last frame, and which of its pictures is chosen."""

    recorder: Recorder | None = None
    frame: Frame | None = None
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

    def finished(self, run: Run, keep) -> dict:
        """Updates for a run that came to its end."""
        frame, one = run.frame, len(run.frame.pictures) == 1
        pair = (keep(sheet(frame, frame.start)), keep(sheet(frame))) if one else None
        updates = [run, gr.Slider(0, frame.step, frame.step, visible=True), gr.ImageSlider(pair, visible=one)]
        return dict(zip(self.outputs, [*updates, *plots(run)], strict=True))

    def _chosen(self, run: Run, at: gr.SelectData):
        if run.recorder is None:
            return gr.skip()
        run = replace(run, chosen=picked(run.frame, *at.index))
        return [run, f"picture {run.chosen + 1} is chosen", *plots(run)]

    def _gif(self, run: Run):
        yield from self._made(run, "gif", lambda path: run.recorder.save_gif(path, zoom=zoom(run.frame)))

    def _zip(self, run: Run):
        yield from self._made(run, "zip", lambda path: save_zip(run.frame, path))

    def _made(self, run: Run, kind: str, save):
        if run.recorder is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        with tempfile.TemporaryDirectory() as folder:
            save(path := f"{folder}/{self.task.name}.{kind}")
            yield gr.File(path, visible=True)


def scrubbed(run: Run, step: int):
    """The kept pictures nearest to ``step``, and the words for it."""
    if run.recorder is None:
        return gr.skip()
    steps = run.recorder.steps
    index = min(range(len(steps)), key=lambda index: abs(steps[index] - step))
    return run.recorder.sheet(index, zoom=zoom(run.frame)), f"step {steps[index]} of the run"


def plots(run: Run) -> list[pd.DataFrame]:
    """Class probabilities, loss and distance of the chosen picture over the steps."""
    recorder, ends = run.recorder, (0, run.frame.step)
    away = [row | {"line": "distance"} for row in recorder.rows("distance", run.chosen)]
    if recorder.epsilon is not None:
        away += [{"step": step, "distance": recorder.epsilon, "line": "epsilon"} for step in ends]
    rows = (computed(partial(recorder.class_rows, picture=run.chosen)), recorder.rows("loss", run.chosen), away)
    return [pd.DataFrame(part) for part in rows]
