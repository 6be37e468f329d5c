"""Looking at a finished run: every step of it, before and after, plots, and files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import gradio as gr
import pandas as pd

from synth import Frame, Task
from synth.recorder import Recorder, save_zip
from synth.web.events import PRIVATE
from synth.web.gpu import run_on_worker
from synth.web.views import picture_at, sheet, zoom

KEPT = 1800
"""Seconds for which a finished run can be looked at; then its memory is freed."""


@dataclass(frozen=True)
class Run:
    """What a tab remembers of its last run: all steps, the last frame, and the index of the chosen picture."""

    recorder: Recorder
    frame: Frame
    chosen: int = 0

    @property
    def size(self) -> int:
        """Bytes of its pictures."""
        return self.recorder.size + self.frame.pictures.nbytes + self.frame.start.nbytes


class Inspection:
    """The components, wired to each other; ``run_state`` holds the ``Run`` of this visitor's tab, None without one."""

    def __init__(self, task: Task, run_state: gr.State, scrubber: gr.Slider, result: gr.Image, status: gr.Markdown):
        self.task = task
        with gr.Accordion("Look closer", open=False):
            gr.Markdown("If the result is several pictures, click one of them to see its plots.")
            self.slider = gr.ImageSlider(label="Before and after", visible=False, format="png", elem_classes="picture")
            axes = {"x": "step", "height": 250, "elem_classes": "plot"}
            self.plots = [
                gr.LinePlot(y="probability", color="class", label="Probability of each class", **axes),
                gr.LinePlot(y="loss", label="Loss", **axes),
                gr.LinePlot(y="distance", color="line", label="Distance from the start (L2)", **axes),
            ]
            with gr.Row():
                gif = gr.Button("GIF of the run", min_width=120)
                archive = gr.Button("ZIP of the pictures", min_width=120)
            export = gr.File(label="Your file", visible=False, interactive=False, elem_classes="export")
        self.outputs = [run_state, scrubber, self.slider, *self.plots]

        live = {"trigger_mode": "always_last", "queue": False, **PRIVATE}
        scrubber.input(show_step, [run_state, scrubber], [result, status], **live)
        result.select(choose_picture, run_state, [run_state, status, *self.plots], **PRIVATE)
        gif.click(self._export_gif, run_state, export, **PRIVATE)
        archive.click(self._export_zip, run_state, export, **PRIVATE)

    def finish(self, run: Run, save) -> dict:
        """Updates for a finished run; ``save`` writes an image to a file and returns its path."""
        frame, single = run.frame, len(run.frame.pictures) == 1
        pair = (save(sheet(frame, frame.start)), save(sheet(frame))) if single else None
        updates = [run, gr.Slider(0, frame.step, frame.step, visible=True), gr.ImageSlider(pair, visible=single)]
        return dict(zip(self.outputs, [*updates, *plots(run)], strict=True))

    def _export_gif(self, run: Run | None):
        yield from self._export(run, "gif", lambda run, path: run.recorder.save_gif(path, zoom=zoom(run.frame)))

    def _export_zip(self, run: Run | None):
        yield from self._export(run, "zip", lambda run, path: save_zip(run.frame, path))

    def _export(self, run: Run | None, kind: str, save: Callable[[Run, str], None]):
        if run is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        with tempfile.TemporaryDirectory() as folder:
            save(run, path := f"{folder}/{self.task.name}.{kind}")
            yield gr.File(path, visible=True)


def choose_picture(run: Run | None, at: gr.SelectData):
    """The run with the picture that was clicked, a status, and the plots of that picture."""
    if run is None:
        return gr.skip()
    run = replace(run, chosen=picture_at(run.frame, *at.index))
    return [run, f"picture {run.chosen + 1} is chosen", *plots(run)]


def show_step(run: Run | None, step: int):
    """The kept pictures nearest to ``step``, and a status."""
    if run is None:
        return gr.skip()
    steps = run.recorder.steps
    index = min(range(len(steps)), key=lambda index: abs(steps[index] - step))
    return run.recorder.sheet(index, zoom=zoom(run.frame)), f"step {steps[index]} of the run"


def plots(run: Run) -> list[pd.DataFrame]:
    """Class probabilities, loss and distance of the chosen picture over the steps."""
    recorder, ends = run.recorder, (0, run.frame.step)
    distances = [row | {"line": "distance"} for row in recorder.rows("distance", run.chosen)]
    if recorder.epsilon is not None:
        distances += [{"step": step, "distance": recorder.epsilon, "line": "epsilon"} for step in ends]
    probabilities = run_on_worker(partial(recorder.class_rows, picture=run.chosen))
    return [pd.DataFrame(rows) for rows in (probabilities, recorder.rows("loss", run.chosen), distances)]
