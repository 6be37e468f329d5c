"""The right half of a tab: the button that runs the task, and what comes out, live."""

from __future__ import annotations

import inspect

import gradio as gr

from synth import Frame, Task
from synth.recorder import Recorder
from synth.web.editor import PRIVATE, gathered
from synth.web.endpoints import QUEUE
from synth.web.reuse import Reuse
from synth.web.running import load, one_sentence, stream
from synth.web.views import SHOWN, album, sheet, zoom
from synth.web.watch import KEPT, Run, Watch

NOTHING = "nothing"
PAPERS = {
    "Santurkar et al. 2019": "1906.09453",
    "Rojas-Gomez et al. 2021": "2106.06927",
    "Engstrom et al. 2019": "1906.00945",
    "Li et al. 2017": "1705.08086",
}
SCRUB = "Scrub through the run"
STARTING = """() => {  // say so at once; on a phone, go to where the result will be
    const results = [...document.querySelectorAll('.result')].filter(part => part.offsetParent);
    if (innerWidth < 700) results[0]?.scrollIntoView({behavior: 'smooth', block: 'center'});
    return 'starting'
}"""


class Results:
    """The components, wired to each other and to the tab's controls; ``other`` names a checkpoint to compare with."""

    def __init__(self, task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, controls: dict):
        self.task, self.controls = task, controls
        with gr.Row(elem_classes="run"):
            run = gr.Button("Run", variant="primary", min_width=100)
            stop = gr.Button("Stop", min_width=100)
        self.status = gr.Markdown("Ready: press Run.", elem_classes="status")
        with gr.Row(elem_classes="result"):
            self.start = gr.Image(label="Start", visible=False, **SHOWN)
            self.result = gr.Image(label="Result", **SHOWN)
            self.twin = gr.Image(visible=False, **SHOWN)
        self.quality = gr.Markdown(visible=False)
        given = [checkpoint, *controls.values()]
        memory, scrub = gr.State(Run(), time_to_live=KEPT), gr.Slider(0, 1, 0, step=1, visible=False, label=SCRUB)
        self.file = gr.DownloadButton("Save the PNG with its settings inside", interactive=False)
        self.reuse = Reuse(task, memory, self.status, controls, given)
        self.watch = Watch(task, memory, scrub, self.result, self.status)
        with gr.Accordion("How it works", open=False):
            latex = [{"left": "$$", "right": "$$", "display": True}]
            gr.Markdown(explanation(task), latex_delimiters=latex)

        run.click(None, None, self.status, js=STARTING, **PRIVATE)  # before the other, or it comes last
        outputs = [self.status, self.start, self.result, self.twin, self.quality, self.file, *self.watch.outputs]
        event = run.click(self.run, [other, *given], outputs, **QUEUE, **PRIVATE)
        self.reuse.follow(event)
        halted = stop.click(None, None, None, cancels=[event, self.reuse.varied], **PRIVATE)
        halted.then(stopped, self.status, self.status, **PRIVATE)

    def run(self, other: str, checkpoint: str, *values):
        """Updates of the outputs while the task runs, then while the other checkpoint does the same.

        The browser may leave out updates that come fast: the last one holds all that is to stay.
        """
        try:
            with one_sentence():
                settings, note = gathered(self.task, dict(zip(self.controls, values, strict=True)))
            with album() as keep:
                shown = {self.twin: gr.Image(visible=False), self.quality: gr.Markdown(visible=False)}
                frame = yield from self._own(checkpoint, settings, note, shown, keep)
                beside = None if other == NOTHING else (yield from self._beside(other, settings, shown, keep))
                table = figures(self.task, settings.get("picture"), frame, beside)
                if table:
                    shown[self.quality] = gr.Markdown(table, visible=True)
                yield shown
        except gr.Error as error:
            yield {self.status: error.message}
            raise

    def _own(self, checkpoint: str, settings: dict, note: str, shown: dict, keep):
        with one_sentence():
            recorder = Recorder(load(checkpoint))
        for frame, status in stream(self.task, checkpoint, settings, recorder.add):
            shown[self.status] = status
            if frame is not None:
                shown |= {self.status: status + note, self.result: keep(sheet(frame))}
            if frame is not None and self.start not in shown:
                one = len(frame.pictures) == 1
                shown[self.start] = gr.Image(keep(sheet(frame, frame.start)) if one else None, visible=one)
            yield shown
        frame.save(path := keep(sheet(frame)), zoom=zoom(frame))
        shown |= {
            self.file: gr.DownloadButton(value=path, interactive=True),
            **self.watch.finished(Run(recorder, frame), keep),
        }
        yield shown
        return frame

    def _beside(self, other: str, settings: dict, shown: dict, keep):
        for frame, status in stream(self.task, other, settings):
            shown[self.status] = f"{other}: {status}"
            if frame is not None:
                shown[self.twin] = gr.Image(keep(sheet(frame)), label=other, visible=True)
            yield shown
        return frame


def figures(task: Task, picture, frame: Frame, beside: Frame | None) -> str:
    """A table of likeness to the original, where it is known from the given ``picture``; else nothing."""
    found = task.compare(frame, picture)
    if found is None:
        return ""
    found = {"this result" if name == "ours" else name: of for name, of in found.items()}
    if beside is not None:
        rows, name = task.compare(beside, picture), beside.settings["checkpoint"]
        found |= {name: rows["ours"]} if "ours" in rows else {f"{name}: {row}": of for row, of in rows.items()}
    holes = all("psnr_hole" in of for of in found.values())
    head = "| against the original | PSNR | SSIM |" + (" PSNR in the hole |" if holes else "")
    rows = [
        f"| {name} | {of['psnr']:.1f} dB | {of['ssim']:.3f} |" + (f" {of['psnr_hole']:.1f} dB |" if holes else "")
        for name, of in found.items()
    ]
    return "\n".join([head, "|---" * (3 + holes) + "|", *rows])


def explanation(task: Task) -> str:
    """The equation and where it comes from."""
    source = inspect.cleandoc(type(task).__doc__).split("\n\n")[1]
    for paper, number in PAPERS.items():
        source = source.replace(paper, f"[{paper}](https://arxiv.org/abs/{number})")
    return f"$${task.equation}$$\n\n{source}"


def stopped(status: str) -> str:
    """What the status says after Stop."""
    if "step" in status:
        return f"stopped at {status}"
    return "stopped" if status.startswith(("starting", "waiting")) else status
