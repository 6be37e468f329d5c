"""The right half of a tab: the buttons that run the task, and what comes out, live."""

from __future__ import annotations

import inspect
import threading
from dataclasses import replace

import gradio as gr

from synth import Classifier, Frame, Task
from synth.recorder import Recorder
from synth.web.checkpoints import NOTHING, load
from synth.web.display import Display, panel
from synth.web.editor import task_settings
from synth.web.events import PRIVATE, QUEUE, as_text, escape, sentences
from synth.web.files import Files
from synth.web.plots import Plots, curves
from synth.web.reuse import Reuse
from synth.web.run import KEPT, Run
from synth.web.running import Waiting, describe, stream
from synth.web.seen import what_is_seen
from synth.web.status import READY, show, show_progress
from synth.web.stored import stored
from synth.web.views import image_files
from synth.web.words import EXPLANATIONS, LOOK_FOR

PAPERS = {
    "Santurkar et al. 2019": "1906.09453",
    "Rojas-Gomez et al. 2021": "2106.06927",
    "Engstrom et al. 2019": "1906.00945",
    "Li et al. 2017": "1705.08086",
}


class Results:
    """The components, wired to each other and to the tab's controls; ``other`` names a checkpoint to compare with.

    They begin with the stored result of the task's first click, where there is one.
    """

    def __init__(self, task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, controls: dict):
        self.task, self.controls = task, controls
        first = stored(task.name, checkpoint.value)
        with gr.Row(elem_classes="run"):
            run = gr.Button("Run", variant="primary", min_width=90)
            again = gr.Button("Another seed", min_width=110, visible=task.varies)
            self.surprise = gr.Button("Surprise me", min_width=110)
            stop = gr.Button("Stop", min_width=70, elem_classes="stop")
        self.status = gr.HTML(show(first.words if first else READY), elem_classes="status")
        self.stopped, self.run_state = gr.State(), gr.State(first.run() if first else None, time_to_live=KEPT)
        self.display = Display(task.name, self.run_state, self.status, first.run() if first else None)
        gr.Markdown(LOOK_FOR.get(task.name, ""), visible=task.name in LOOK_FOR, elem_classes="help")
        self.metrics = gr.Markdown(visible=False)
        self.files = Files(task, self.run_state, controls, checkpoint, other, first.run() if first else None)
        inputs = [checkpoint, *controls.values()]
        self.reuse = Reuse(task, self.run_state, self.status, self.stopped, controls, inputs)
        self.plots = Plots()
        with gr.Accordion("How it works", open=False):
            latex = [{"left": "$$", "right": "$$", "display": True}]
            gr.Markdown(explanation(task), latex_delimiters=latex)

        self.outputs = [self.status, self.stopped, self.run_state, self.metrics]
        self.outputs += [*self.display.outputs, *self.files.outputs, *self.plots.outputs]

        # Before the other event, or this status would come last.
        run.click(None, None, self.status, js="() => synth.starting()", **PRIVATE)
        cleared = [self.stopped, self.run_state, *self.files.outputs]
        run.click(self._clear, None, cleared, queue=False, **PRIVATE)
        values = [other, self.display.pixels, *inputs]
        event = run.click(self.run, values, self.outputs, **QUEUE, **PRIVATE)
        event.failure(None, self.status, self.status, js="status => synth.failed(status)", **PRIVATE)
        self.files.update_link_after(event)
        if task.varies:
            seeded = again.click(None, None, controls["seed"], js="() => synth.newSeed()", **PRIVATE)
            seeded.then(None, None, None, js="() => synth.pressRun()", **PRIVATE)
        cancelled = stop.click(None, None, None, cancels=[event, self.reuse.variations], **PRIVATE)
        stopping = [self.stopped, self.run_state, self.display.pixels]
        cancelled.then(self._stop, stopping, self.outputs, **PRIVATE)
        self.display.result.select(
            self._choose, [self.run_state, self.display.pixels], [*self.outputs[:3], self.display.result,
            *self.plots.plots], **PRIVATE,
        )  # fmt: skip

    def renew(self, model: Classifier) -> dict:
        """Updates for another checkpoint: the stored result of the first click, or nothing."""
        first = stored(self.task.name, model.source)
        return self.show_stored(first) if first else self._nothing()

    def show_stored(self, one) -> dict:
        """Updates that show a stored result."""
        updates = {self.status: show(one.words), self.run_state: one.run(), self.metrics: gr.Markdown(visible=False)}
        return updates | self.display.show_stored(one.run()) | self.files.show_stored(one.run()) | self.plots.clear()

    def _nothing(self) -> dict:
        updates = {self.status: show(READY), self.run_state: None, self.metrics: gr.Markdown(visible=False)}
        return updates | self.display.clear() | self.files.clear() | self.plots.clear()

    def _clear(self) -> dict:
        """What a new run forgets of the one before, and what Stop is to say before it begins."""
        return {self.stopped: "Stopped.", self.run_state: None} | self.files.clear()

    def run(self, other: str, pixels: bool, checkpoint: str, *values):
        """Updates of the outputs while the task runs, then while the other checkpoint does the same.

        The browser may leave out updates that come fast: the last one holds all that is to stay.
        """
        ended = threading.Event()
        try:
            with sentences():
                settings, note = task_settings(self.task, dict(zip(self.controls, values, strict=True)))
            with image_files() as save:
                run, words = yield from self._run(checkpoint, settings, note, ended, save, pixels)
                if other != NOTHING:
                    run = yield from self._run_other(other, settings, run, save, pixels)
                with sentences():
                    words = f"{words} {what_is_seen(run)}"
                updates = {self.status: show(words), self.stopped: None, self.run_state: run}
                table = metrics_table(self.task, settings.get("picture"), run.frame, run.other)
                updates[self.metrics] = gr.Markdown(table, visible=bool(table))
                yield updates | self._finish(run, save, pixels)
        except gr.Error as error:
            yield {self.status: show(error.message), self.stopped: None}
            raise as_text(error) from None
        finally:
            ended.set()

    def _run(self, checkpoint: str, settings: dict, note: str, ended: threading.Event, save, pixels: bool):
        with sentences():
            recorder = Recorder(load(checkpoint))
        updates = {self.metrics: gr.Markdown(visible=False)} | self.display.clear() | self.plots.clear()
        run = None
        for progress in stream(self.task, checkpoint, settings, recorder.add):
            if isinstance(progress, Waiting):
                yield {self.status: show_progress(progress), self.stopped: "Stopped."}
                continue
            words = describe(progress) + note
            if run is not None and run.frame is progress.frame and not progress.done:
                yield {self.status: show_progress(progress, words)}
                continue
            run = Run(progress.frame, progress.rows, recorder, ended=ended)
            updates |= {self.status: show_progress(progress, words), self.stopped: f"Stopped. {words}"}
            yield updates | {self.run_state: run} | self.display.live(run, save, pixels)
        return run, words

    def _run_other(self, other: str, settings: dict, run: Run, save, pixels: bool):
        for progress in stream(self.task, other, settings):
            words = f"{panel(other)}: {describe(progress)}"
            updates = {self.status: show_progress(progress, words), self.stopped: f"Stopped. {words}"}
            if not isinstance(progress, Waiting) and run.other is not progress.frame:
                run = replace(run, other=progress.frame)
                updates |= {self.run_state: run} | self.display.live_other(run, save, pixels)
            yield updates
        return run

    def _finish(self, run: Run, save, pixels: bool) -> dict:
        """Updates for a result, the last frame of a run that ended or was stopped."""
        return self.display.finish(run, save, pixels) | self.files.finish(run, save.folder) | self.plots.finish(run)

    def _stop(self, stopped: str | None, run: Run | None, pixels: bool):
        """The status after Stop, and the last frame as the result; nothing where the run had ended."""
        if stopped is None:
            yield {self.stopped: None}
            return
        updates = {self.status: show(stopped), self.stopped: None}
        if run is None or run.recorder is None:
            yield updates
            return
        if run.ended is not None:
            run.ended.wait(5)  # the step that goes on meanwhile may still be recorded
        with image_files() as save:
            yield updates | self._finish(run, save, pixels)

    def _choose(self, run: Run | None, pixels: bool, at: gr.SelectData):
        """The run with the picture that was clicked outlined, a status, and the plots of that picture."""
        if run is None or len(run.frame.pictures) == 1:
            yield {self.run_state: run}
            return
        chosen = run.at(*at.index)
        run = replace(run, chosen=chosen)
        updates = {self.run_state: run, self.status: show(f"Picture {chosen + 1} is chosen.")}
        if run.recorder is not None:
            updates |= dict(zip(self.plots.plots, curves(run), strict=True))
        with image_files() as save:
            yield updates | {self.display.result: save(run.sheet(pixels=pixels))}


def metrics_table(task: Task, picture, frame: Frame, other: Frame | None) -> str:
    """A table of likeness to the original, where it is known from ``picture``, the task's input; else nothing."""
    rows = task.compare(frame, picture)
    if rows is None:
        return ""
    rows = {"this result" if name == "ours" else name: metrics for name, metrics in rows.items()}
    others = None if other is None else task.compare(other, picture)
    if other is not None and others is not None:
        name = other.record.checkpoint
        named = {name: others["ours"]} if "ours" in others else {f"{name}: {row}": m for row, m in others.items()}
        rows |= named
    holes = all("psnr_hole" in metrics for metrics in rows.values())
    head = "| against the original | PSNR | SSIM |" + (" PSNR in the hole |" if holes else "")
    lines = [
        f"| {escape(name)} | {m['psnr']:.1f} dB | {m['ssim']:.3f} |" + (f" {m['psnr_hole']:.1f} dB |" if holes else "")
        for name, m in rows.items()
    ]
    return "\n".join([head, "|---" * (3 + holes) + "|", *lines])


def explanation(task: Task) -> str:
    """What happens in plain sentences, the equation, and where it comes from."""
    source = inspect.cleandoc(type(task).__doc__ or "").split("\n\n")[1]
    for paper, number in PAPERS.items():
        source = source.replace(paper, f"[{paper}](https://arxiv.org/abs/{number})")
    return f"{EXPLANATIONS.get(task.name, '')}\n\n$${task.equation}$$\n\n{source}"
