"""Looking closer at a run: how class probabilities, loss and distance went."""

from __future__ import annotations

from functools import partial

import gradio as gr
import pandas as pd

from synth.web.gpu import run_on_worker
from synth.web.run import Run


class Plots:
    """The plots, shown for runs of several steps."""

    def __init__(self) -> None:
        with gr.Accordion("Look closer", open=False, visible=False) as self.accordion:
            gr.Markdown("If the result is several pictures, click one of them to see its plots.")
            axes = {"x": "step", "height": 250, "elem_classes": "plot"}
            self.plots = [
                gr.LinePlot(y="probability", color="class", label="Probability of each class", **axes),
                gr.LinePlot(y="loss", label="Loss", **axes),
                gr.LinePlot(y="distance", color="line", label="Distance from the start (L2)", **axes),
            ]
        self.outputs = [self.accordion, *self.plots]

    def finish(self, run: Run) -> dict:
        """Updates for a result."""
        if run.recorder is None or run.frame.step <= 1:
            return self.clear()
        return dict(zip(self.outputs, [gr.Accordion(visible=True), *curves(run)], strict=True))

    def clear(self) -> dict:
        """Updates for no result."""
        return {self.accordion: gr.Accordion(visible=False)}


def curves(run: Run) -> list[pd.DataFrame]:
    """Class probabilities, loss and distance of the chosen picture over the steps."""
    assert run.recorder is not None
    recorder, ends, chosen = run.recorder, (0, run.frame.step), run.chosen or 0
    distances = [row | {"line": "distance"} for row in recorder.rows("distance", chosen)]
    if recorder.epsilon is not None:
        distances += [{"step": step, "distance": recorder.epsilon, "line": "epsilon"} for step in ends]
    probabilities = run_on_worker(partial(recorder.class_rows, picture=chosen))
    return [pd.DataFrame(rows) for rows in (probabilities, recorder.rows("loss", chosen), distances)]
