"""Going on from a result: paint on it again, use it in another tab, vary the seed."""

from __future__ import annotations

import gradio as gr

from synth import TASKS, Task
from synth.web.editor import enlarge, parse_editor, task_settings
from synth.web.events import PRIVATE, QUEUE, as_text, sentences
from synth.web.run import KEPT, Run
from synth.web.running import Waiting, describe, stream
from synth.web.status import show, show_progress
from synth.web.views import image_files, sheet

VARIATIONS = 4
NOWHERE = ""
"""The choice of no tab for a result."""
UNDONE = 20
"""Results that can be taken back, at most."""


class Reuse:
    """The components, wired to each other; ``use`` is wired by the page, which knows the other tabs.

    inputs: the checkpoint and the controls; stopped: the status to show if the run is stopped now.
    """

    def __init__(
        self, task: Task, run_state: gr.State, status: gr.HTML, stopped: gr.State, controls: dict, inputs: list
    ):
        self.task, self.controls, self.run_state, self.status, self.stopped = task, controls, run_state, status, stopped
        if "mask" in controls:
            with gr.Row():
                keep = gr.Button("Keep the result and go on", min_width=120)
                undo = gr.Button("Undo", min_width=80)
            earlier, picture = gr.State([], time_to_live=KEPT), controls["picture"]
            keep.click(keep_result, [run_state, picture, earlier], [picture, earlier, status], **PRIVATE)
            undo.click(undo_keep, earlier, [picture, earlier, status], **PRIVATE)
        titles = [(other.title, other.name) for other in TASKS.values() if "picture" in other.parameters]
        info = "If the result is several pictures, click one of them first."
        titles.insert(0, ("Choose a tab", NOWHERE))
        self.use = gr.Dropdown(titles, value=NOWHERE, label="Use the result in", info=info)
        with gr.Accordion("Variations", open=False, visible=task.varies):
            vary = gr.Button(f"{VARIATIONS} variations: the same settings, other seeds")
            look = {"format": "png", "columns": VARIATIONS, "visible": False, "allow_preview": False, "height": "auto"}
            look |= {"interactive": False, "object_fit": "contain", "elem_classes": "picture"}
            self.gallery = gr.Gallery(label="Click a picture to use its seed", **look)
            self.seeds = gr.State([])
        outputs = [status, stopped, self.gallery, self.seeds]
        self.variations = vary.click(self._vary, inputs, outputs, **QUEUE, **PRIVATE)
        if task.varies:
            self.gallery.select(choose_seed, self.seeds, [controls["seed"], status], **PRIVATE)

    def _vary(self, checkpoint: str, *values):
        """Updates of status and gallery: the task again with seeds of which no picture repeats one of another."""
        try:
            with sentences():
                settings, note = task_settings(self.task, dict(zip(self.controls, values, strict=True)))
                seeds = next_seeds(self.task, settings)
            images = {}
            with image_files() as save:
                for seed in seeds:
                    for progress in stream(self.task, checkpoint, settings | {"seed": seed}):
                        words = f"Seed {seed}: {describe(progress)}{note}"
                        yield {self.status: show_progress(progress, words), self.stopped: f"Stopped. {words}"}
                        if not isinstance(progress, Waiting):
                            frame, rows = progress.frame, progress.rows
                    images[seed] = save(sheet(frame.pictures, rows))
                    gallery = gr.Gallery([(image, f"seed {seed}") for seed, image in images.items()], visible=True)
                    yield {self.gallery: gallery, self.seeds: list(images), self.status: show(words)}
                yield {self.stopped: None}
        except gr.Error as error:
            yield {self.status: show(error.message), self.stopped: None}
            raise as_text(error) from None


def next_seeds(task: Task, settings: dict) -> list[int]:
    """The seeds after that of ``settings``: as far apart as a run makes pictures, each of which has a seed of its own.

    ValueError for a seed or a count that does not fit.
    """
    kinds = task.parameters
    first = kinds["seed"].check("seed", settings["seed"], None)
    count = kinds["count"].check("count", settings["count"], None) if "count" in kinds else 1
    return [(first + count * number) % 2**31 for number in range(1, VARIATIONS + 1)]


def keep_result(run: Run | None, payload: dict, earlier: list):
    """The result takes the place of the picture, which is remembered in ``earlier``."""
    before = parse_editor(payload)[0]
    if run is None or before is None:
        return gr.skip(), gr.skip(), show("There is no result to keep yet: press Run first.")
    words = f"Result {len(earlier) + 1} is kept: change the settings, press Run."
    return enlarge(run.picture), [*earlier, before][-UNDONE:], show(words)


def undo_keep(earlier: list):
    """The picture before the last result that was kept."""
    if not earlier:
        return gr.skip(), gr.skip(), show("There is nothing to undo.")
    picture = "the first picture" if len(earlier) == 1 else f"result {len(earlier) - 1}"
    return earlier[-1], earlier[:-1], show(f"Back to {picture}.")


def choose_seed(seeds: list[int], at: gr.SelectData):
    """The seed of the variation that was clicked, and a status."""
    return seeds[at.index], show(f"Seed {seeds[at.index]} is set: press Run.")
