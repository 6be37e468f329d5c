"""Going on from a result: paint on it again, use it in another tab, vary the seed, keep a link."""

from __future__ import annotations

import gradio as gr

from synth import TASKS, Task
from synth.parameters import Mask, Picture
from synth.pictures import to_images
from synth.web.editor import PRIVATE, editable, gathered, parse_editor
from synth.web.endpoints import QUEUE
from synth.web.links import link
from synth.web.running import one_sentence, stream
from synth.web.views import sheet
from synth.web.watch import KEPT, Run

VARIATIONS = 4
ADDRESS = """query => {  // the address bar, where it is ours, and the box hold a link to this tab as it is
    if (!query) return '';
    if (window === window.top) history.replaceState(null, '', query);
    return location.origin + location.pathname + query
}"""


class Reuse:
    """The components, wired to each other; ``use`` is wired by the page, which knows the other tabs."""

    def __init__(self, task: Task, memory: gr.State, status: gr.Markdown, controls: dict, given: list):
        self.task, self.controls, self.memory, self.status, self.given = task, controls, memory, status, given
        if "mask" in controls:
            with gr.Row():
                keep = gr.Button("Keep the result and go on", min_width=120)
                undo = gr.Button("Undo", min_width=80)
            earlier, picture = gr.State([], time_to_live=KEPT), controls["picture"]
            keep.click(self.keep, [memory, picture, earlier], [picture, earlier, status], **PRIVATE)
            undo.click(self.undo, earlier, [picture, earlier, status], **PRIVATE)
        kinds = task.parameters
        self.worded = {name: part for name, part in controls.items() if not isinstance(kinds[name], (Picture, Mask))}
        names = [(other.title, other.name) for other in TASKS.values() if "picture" in other.parameters]
        self.use = gr.Dropdown(names, value=None, label="Use the result in", info="Of several, click one first.")
        seeded = "seed" in controls
        with gr.Accordion("Variations and link" if seeded else "Link", open=False):
            vary = gr.Button(f"{VARIATIONS} variations: the same settings, the next seeds", visible=seeded)
            look = {"format": "png", "columns": VARIATIONS, "visible": False, "allow_preview": False, "height": "auto"}
            self.gallery = gr.Gallery(label="Click one to take its seed", object_fit="contain", **look)
            self.address = gr.Textbox(label="Link to this tab with these settings", buttons=["copy"], interactive=False)
        self.varied = vary.click(self.vary, given, [status, self.gallery], **QUEUE, **PRIVATE)
        if seeded:
            self.gallery.select(taken, self.gallery, [controls["seed"], status], **PRIVATE)

    def follow(self, event) -> None:
        """Renew the link after a run."""
        made = event.then(self.linked, [self.given[0], *self.worded.values()], self.address, **PRIVATE)
        made.then(None, self.address, self.address, js=ADDRESS, **PRIVATE)

    def linked(self, checkpoint: str, *values) -> str:
        return link(self.task, checkpoint, dict(zip(self.worded, values, strict=True)))

    def keep(self, run: Run, payload: dict, earlier: list):
        """The result takes the place of the picture; that is remembered."""
        before = parse_editor(payload)[0]
        if run.recorder is None or before is None:
            return gr.skip(), gr.skip(), "Nothing to keep yet: press Run first."
        return result(run), [*earlier, before], f"kept {len(earlier) + 1}: choose what comes next"

    def undo(self, earlier: list):
        """The picture before the last that was kept."""
        if not earlier:
            return gr.skip(), gr.skip(), "nothing to undo"
        return earlier[-1], earlier[:-1], f"back to {'the first picture' if len(earlier) == 1 else len(earlier) - 1}"

    def vary(self, checkpoint: str, *values):
        """Updates of status and gallery: the task again with the seeds that follow."""
        try:
            with one_sentence():
                settings, note = gathered(self.task, dict(zip(self.controls, values, strict=True)))
                first, found = self.task.parameters["seed"].check("seed", settings["seed"], None) + 1, []
            for seed in range(first, first + VARIATIONS):
                for frame, status in stream(self.task, checkpoint, settings | {"seed": seed}):  # noqa: B007
                    yield {self.status: f"seed {seed}: {status}{note}"}
                found.append((sheet(frame), f"seed {seed}"))
                yield {self.gallery: gr.Gallery(found, visible=True)}
        except gr.Error as error:
            yield {self.status: error.message}
            raise


def result(run: Run):
    """The chosen picture of a run, enlarged for the widgets."""
    return editable(to_images(run.frame.pictures[run.chosen][None])[0])


def taken(items: list, at: gr.SelectData):
    """The seed of the variation that was clicked."""
    caption = items[at.index][1]
    return int(caption.removeprefix("seed ")), f"{caption} is set: press Run"
