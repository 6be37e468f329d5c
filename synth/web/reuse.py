"""Going on from a result: paint on it again, use it in another tab, vary the seed, keep a link."""

from __future__ import annotations

import gradio as gr

from synth import TASKS, Task
from synth.parameters import Mask, Picture
from synth.pictures import to_images
from synth.record import Record
from synth.web.checkpoints import load
from synth.web.editor import enlarge, parse_editor, task_settings
from synth.web.events import PRIVATE, QUEUE, as_text, sentences
from synth.web.inspection import KEPT, Run
from synth.web.running import Waiting, describe, stream
from synth.web.views import sheet

VARIATIONS = 4
UNDONE = 20
"""Results that can be taken back, at most."""


class Reuse:
    """The components, wired to each other; ``use`` is wired by the page, which knows the other tabs.

    inputs: the checkpoint and the controls; stopped: the status to show if the run is stopped now.
    """

    def __init__(
        self, task: Task, run_state: gr.State, status: gr.Markdown, stopped: gr.State, controls: dict, inputs: list
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
        self.use = gr.Dropdown(titles, value=None, label="Use the result in", info=info)
        seeded = "seed" in controls
        with gr.Accordion("Variations and link" if seeded else "Link", open=False):
            vary = gr.Button(f"{VARIATIONS} variations: the same settings, the next seeds", visible=seeded)
            look = {"format": "png", "columns": VARIATIONS, "visible": False, "allow_preview": False, "height": "auto"}
            self.gallery = gr.Gallery(label="Click a picture to use its seed", object_fit="contain", **look)
            self.seeds = gr.State([])
            self.address = gr.Textbox(label="Link to this tab with these settings", buttons=["copy"], interactive=False)
        outputs = [status, stopped, self.gallery, self.seeds]
        self.variations = vary.click(self._vary, inputs, outputs, **QUEUE, **PRIVATE)
        if seeded:
            self.gallery.select(choose_seed, self.seeds, [controls["seed"], status], **PRIVATE)
        kinds = task.parameters
        linkable = {name: part for name, part in controls.items() if not isinstance(kinds[name], (Picture, Mask))}
        self._linkable, self._link_inputs = list(linkable), [inputs[0], *linkable.values()]

    def update_link_after(self, event) -> None:
        """Show the link to the settings of a run when its event ends."""
        shown = event.then(self._link, self._link_inputs, self.address, **PRIVATE)
        shown.then(None, self.address, self.address, js="query => synth.showLink(query)", **PRIVATE)

    def _link(self, checkpoint: str, *values) -> str:
        settings = dict(zip(self._linkable, values, strict=True))
        return Record(self.task.name, checkpoint, settings).to_query(self.task.defaults(load(checkpoint)))

    def _vary(self, checkpoint: str, *values):
        """Updates of status and gallery: the task again with the seeds that follow."""
        try:
            with sentences():
                settings, note = task_settings(self.task, dict(zip(self.controls, values, strict=True)))
                first = self.task.parameters["seed"].check("seed", settings["seed"], None) + 1
            images = {}
            for seed in range(first, first + VARIATIONS):
                for progress in stream(self.task, checkpoint, settings | {"seed": seed}):
                    words = f"seed {seed}: {describe(progress)}{note}"
                    yield {self.status: words, self.stopped: f"stopped at {words}"}
                    if not isinstance(progress, Waiting):
                        frame = progress.frame
                images[seed] = sheet(frame)
                gallery = gr.Gallery([(image, f"seed {seed}") for seed, image in images.items()], visible=True)
                yield {self.gallery: gallery, self.seeds: list(images)}
            yield {self.stopped: None}
        except gr.Error as error:
            yield {self.status: error.message, self.stopped: None}
            raise as_text(error) from None


def keep_result(run: Run | None, payload: dict, earlier: list):
    """The result takes the place of the picture, which is remembered in ``earlier``."""
    before = parse_editor(payload)[0]
    if run is None or before is None:
        return gr.skip(), gr.skip(), "There is no result to keep yet: press Run first."
    return (
        chosen_picture(run),
        [*earlier, before][-UNDONE:],
        f"result {len(earlier) + 1} is kept: change the settings, press Run",
    )


def undo_keep(earlier: list):
    """The picture before the last result that was kept."""
    if not earlier:
        return gr.skip(), gr.skip(), "there is nothing to undo"
    picture = "the first picture" if len(earlier) == 1 else f"result {len(earlier) - 1}"
    return earlier[-1], earlier[:-1], f"back to {picture}"


def chosen_picture(run: Run):
    """The chosen picture of a run, enlarged for the widgets."""
    return enlarge(to_images(run.frame.pictures[run.chosen][None])[0])


def choose_seed(seeds: list[int], at: gr.SelectData):
    """The seed of the variation that was clicked, and a status."""
    return seeds[at.index], f"seed {seeds[at.index]} is set: press Run"
