"""The right half of a tab: the button that runs the task, and what comes out, live."""

from __future__ import annotations

import inspect

import gradio as gr

from synth import Frame, Task
from synth.recorder import Recorder
from synth.web.checkpoints import NOTHING, load
from synth.web.editor import task_settings
from synth.web.events import PRIVATE, QUEUE, as_text, escape, plain, sentences
from synth.web.inspection import KEPT, Inspection, Run
from synth.web.reuse import Reuse
from synth.web.running import Waiting, describe, stream
from synth.web.views import IMAGE, image_files, sheet, zoom

PAPERS = {
    "Santurkar et al. 2019": "1906.09453",
    "Rojas-Gomez et al. 2021": "2106.06927",
    "Engstrom et al. 2019": "1906.00945",
    "Li et al. 2017": "1705.08086",
}


class Results:
    """The components, wired to each other and to the tab's controls; ``other`` names a checkpoint to compare with."""

    def __init__(self, task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, controls: dict):
        self.task, self.controls = task, controls
        with gr.Row(elem_classes="run"):
            run = gr.Button("Run", variant="primary", min_width=100)
            stop = gr.Button("Stop", min_width=100)
        self.status = plain(gr.Markdown("Ready: press Run.", elem_classes="status"))
        self.stopped = gr.State()
        with gr.Row(elem_classes="result"):
            self.start = gr.Image(label="Start", visible=False, **IMAGE)
            self.result = gr.Image(label="Result", **IMAGE)
            self.other_result = gr.Image(visible=False, **IMAGE)
        self.metrics = gr.Markdown(visible=False)
        inputs = [checkpoint, *controls.values()]
        run_state = gr.State(time_to_live=KEPT)
        scrubber = gr.Slider(0, 1, 0, step=1, visible=False, label="Scrub through the run")
        self.file = gr.DownloadButton("Save the PNG with its settings inside", interactive=False)
        self.reuse = Reuse(task, run_state, self.status, self.stopped, controls, inputs)
        self.inspection = Inspection(task, run_state, scrubber, self.result, self.status)
        with gr.Accordion("How it works", open=False):
            latex = [{"left": "$$", "right": "$$", "display": True}]
            gr.Markdown(explanation(task), latex_delimiters=latex)

        # Before the other event, or this status would come last.
        run.click(None, None, self.status, js="() => synth.starting()", **PRIVATE)
        run.click(lambda: "stopped", None, self.stopped, queue=False, **PRIVATE)
        outputs = [self.status, self.stopped, self.start, self.result, self.other_result, self.metrics, self.file]
        event = run.click(self.run, [other, *inputs], [*outputs, *self.inspection.outputs], **QUEUE, **PRIVATE)
        self.reuse.update_link_after(event)
        cancelled = stop.click(None, None, None, cancels=[event, self.reuse.variations], **PRIVATE)
        cancelled.then(stop_status, self.stopped, [self.status, self.stopped], **PRIVATE)

    def run(self, other: str, checkpoint: str, *values):
        """Updates of the outputs while the task runs, then while the other checkpoint does the same.

        The browser may leave out updates that come fast: the last one holds all that is to stay.
        """
        try:
            with sentences():
                settings, note = task_settings(self.task, dict(zip(self.controls, values, strict=True)))
            with image_files() as save:
                updates = {self.other_result: gr.Image(visible=False), self.metrics: gr.Markdown(visible=False)}
                frame = yield from self._run(checkpoint, settings, note, updates, save)
                second = None if other == NOTHING else (yield from self._run_other(other, settings, updates, save))
                table = metrics_table(self.task, settings.get("picture"), frame, second)
                if table:
                    updates[self.metrics] = gr.Markdown(table, visible=True)
                yield updates | {self.stopped: None}
        except gr.Error as error:
            yield {self.status: error.message, self.stopped: None}
            raise as_text(error) from None

    def _run(self, checkpoint: str, settings: dict, note: str, updates: dict, save):
        with sentences():
            recorder = Recorder(load(checkpoint))
        for progress in stream(self.task, checkpoint, settings, recorder.add):
            if isinstance(progress, Waiting):
                updates |= {self.status: describe(progress), self.stopped: "stopped"}
            else:
                frame, words = progress.frame, describe(progress) + note
                updates |= {self.status: words, self.stopped: f"stopped at {words}", self.result: save(sheet(frame))}
                if self.start not in updates:
                    single = len(frame.pictures) == 1
                    start = save(sheet(frame, frame.start)) if single else None
                    updates[self.start] = gr.Image(start, visible=single)
            yield updates
        path = save(sheet(frame))
        frame.save(path, zoom=zoom(frame))
        updates[self.file] = gr.DownloadButton(value=path, interactive=True)
        updates |= self.inspection.finish(Run(recorder, frame), save)
        yield updates
        return frame

    def _run_other(self, other: str, settings: dict, updates: dict, save):
        for progress in stream(self.task, other, settings):
            words = f"{other}: {describe(progress)}"
            updates |= {self.status: words, self.stopped: f"stopped at {words}"}
            if not isinstance(progress, Waiting):
                frame = progress.frame
                updates[self.other_result] = gr.Image(save(sheet(frame)), label=other, visible=True)
            yield updates
        return frame


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
    """The equation and where it comes from."""
    source = inspect.cleandoc(type(task).__doc__ or "").split("\n\n")[1]
    for paper, number in PAPERS.items():
        source = source.replace(paper, f"[{paper}](https://arxiv.org/abs/{number})")
    return f"$${task.equation}$$\n\n{source}"


def stop_status(stopped: str | None):
    """The status after Stop, for what the run that went on last left to say; None where it had ended."""
    return (gr.skip() if stopped is None else stopped), None
