"""The picture of a tab: before and after under a slider, or a sheet, and the second checkpoint's beside it."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import gradio as gr
from torch import Tensor

from synth.web.checkpoints import ordinary
from synth.web.events import PRIVATE
from synth.web.run import Run
from synth.web.status import show
from synth.web.views import IMAGE, image_files, shared_file
from synth.web.words import COMPARISON

LINES = {"inpainting": 18, "super_resolution": 42, "denoising": 50, "reconstruction": 50}
"""Where the line between before and after is at first, in percent of the width, if not near the left rim."""


class Display:
    """The components, wired to ``run_state``, which holds the ``Run`` of this visitor's tab, None without one."""

    def __init__(self, task: str, run_state: gr.State, status: gr.HTML, first: Run | None):
        slider = first is not None and first.has_slider
        with gr.Row(elem_classes="result"):
            image, before, _ = stored_files(first) if first is not None else (None, None, None)
            look = IMAGE | {"label": "Before and after: move the line", "max_height": 620}
            look |= {"slider_position": LINES.get(task, 15)}
            self.slider = gr.ImageSlider((before, image) if slider else None, visible=slider, **look)
            self.result = gr.Image(None if slider else image, **labelled(), visible=not slider, **IMAGE)
            self.other = gr.Image(visible=False, **IMAGE)
        self.comparison = gr.Markdown(COMPARISON, visible=False)
        with gr.Row(elem_classes="look"):
            self.scrubber = gr.Slider(**scrubbed(first), step=1, scale=4)
            self.pixels = gr.Checkbox(False, label="Show pixels", scale=0, min_width=170)
        self.outputs = [self.slider, self.result, self.other, self.comparison, self.scrubber]

        live = {"trigger_mode": "always_last", "queue": False, **PRIVATE}
        pictures = [self.slider, self.result, self.other]
        scrubs = [run_state, self.scrubber, self.pixels]
        self.scrubber.input(self._scrub, scrubs, [*pictures, status, run_state], **live)
        self.pixels.input(self._redraw, [run_state, self.pixels], pictures, **PRIVATE)

    def show_stored(self, run: Run) -> dict:
        """Updates for a stored result, whose files are the same for every visitor."""
        return self._shown(run, *stored_files(run)) | self._about(run)

    def live(self, run: Run, save, pixels: bool) -> dict:
        """Updates while a run goes on."""
        image = save(run.sheet(pixels=pixels), live=True)
        return {self.slider: gr.ImageSlider(visible=False), self.result: gr.Image(image, **labelled(), visible=True)}

    def live_other(self, run: Run, save, pixels: bool) -> dict:
        """Updates while the second checkpoint's run goes on."""
        assert run.other is not None
        label = panel(run.other.record.checkpoint)
        image = save(run.sheet_of(run.other, pixels), live=True)
        return {self.other: gr.Image(image, label=label, visible=True)}

    def finish(self, run: Run, save, pixels: bool) -> dict:
        """Updates for a result."""
        return self._pictures(run, save, pixels) | self._about(run)

    def _about(self, run: Run) -> dict:
        return {
            self.comparison: gr.Markdown(visible=compares_with_ordinary(run)),
            self.scrubber: gr.Slider(**scrubbed(run)),
        }

    def clear(self) -> dict:
        """Updates for no result."""
        return {
            self.slider: gr.ImageSlider(None, visible=False),
            self.result: gr.Image(None, **labelled(), visible=True),
            self.other: gr.Image(None, visible=False),
            self.comparison: gr.Markdown(visible=False),
            self.scrubber: gr.Slider(visible=False),
        }

    def _pictures(self, run: Run, save, pixels: bool, x: Tensor | None = None) -> dict:
        return self._shown(run, *files_of(run, save, pixels, x))

    def _shown(self, run: Run, image: str, before: str | None, other: str | None) -> dict:
        slider, pair = run.has_slider, (before, image)
        label = labelled(None if run.other is None else run.frame.record.checkpoint)
        beside = gr.Image(None, visible=False)
        if run.other is not None:
            beside = gr.Image(other, label=panel(run.other.record.checkpoint), visible=True)
        return {
            self.slider: gr.ImageSlider(pair if slider else None, visible=slider),
            self.result: gr.Image(None if slider else image, **label, visible=not slider),
            self.other: beside,
        }

    def _redraw(self, run: Run | None, pixels: bool):
        if run is None:
            yield gr.skip()
            return
        with image_files() as save:
            yield tuple(self._pictures(run, save, pixels).values())

    def _scrub(self, run: Run | None, step: int, pixels: bool):
        """The kept pictures nearest to ``step``, and a status; of a walk the picture ``step``, which is chosen."""
        if run is None or (run.recorder is None and not run.walk):
            yield gr.skip()
            return
        if run.walk:
            run = replace(run, chosen=step - 1)
            with image_files() as save:
                said = show(f"Picture {step} of {len(run.frame.pictures)}.")
                yield *self._pictures(run, save, pixels).values(), said, run
            return
        assert run.recorder is not None
        steps = run.recorder.steps
        index = min(range(len(steps)), key=lambda index: abs(steps[index] - step))
        with image_files() as save:
            updates = self._pictures(run, save, pixels, run.recorder.pictures(index))
            yield *updates.values(), show(f"Step {steps[index]} of the run."), gr.skip()


def scrubbed(run: Run | None) -> dict:
    """What the slider under a result goes through: the steps of a run, or the pictures of a walk."""
    if run is not None and run.walk:
        name = "Walk from first to last"
        return {"minimum": 1, "maximum": run.walk.count, "value": run.walk.current + 1, "visible": True, "label": name}
    steps = 0 if run is None or run.recorder is None else run.frame.step
    shown = {"maximum": max(1, steps), "value": steps, "visible": steps > 1}
    return {"minimum": 0, "label": "Scrub through the run"} | shown


def files_of(run: Run, save, pixels: bool = False, x: Tensor | None = None) -> tuple[str, str | None, str | None]:
    """Files that ``save`` makes of a run's pictures, or of ``x``, of what they came from, and of the second's."""
    before = save(run.before(pixels)) if run.has_slider else None
    other = save(run.sheet_of(run.other, pixels)) if run.other is not None else None
    return save(run.sheet(x, pixels)), before, other


@lru_cache(maxsize=128)
def stored_files(run: Run) -> tuple[str, str | None, str | None]:
    """The same of a stored result, made once."""
    return files_of(run, shared_file)


def compares_with_ordinary(run: Run) -> bool:
    return run.other is not None and run.other.record.checkpoint == ordinary(run.frame.record.checkpoint)


def labelled(checkpoint: str | None = None) -> dict:
    """What a result is called: a single one needs no label to be seen, and has one for screen readers."""
    return {"label": panel(checkpoint) if checkpoint else "Result", "show_label": checkpoint is not None}


def panel(checkpoint: str) -> str:
    """What a panel is called when two are compared."""
    kind = "Ordinary" if checkpoint.endswith("-standard") else "Robust" if ordinary(checkpoint) else ""
    return f"{kind}: {checkpoint}" if kind else checkpoint
