"""What a visitor takes away of a result: the PNG, an animation, all pictures, a link."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import gradio as gr

from synth import Task, pictures
from synth.parameters import Mask, Picture
from synth.record import Record
from synth.recorder import save_zip
from synth.web.checkpoints import NOTHING, load
from synth.web.display import panel
from synth.web.events import PRIVATE, show_errors
from synth.web.run import Run
from synth.web.views import SHARED, beside, file_name, new_file, zoom


class Files:
    """The buttons, wired to the ``run_state`` of the tab, and to the settings that a link holds.

    first: the stored result that the tab begins with, if any.
    """

    def __init__(
        self, task: Task, run_state: gr.State, controls: dict, checkpoint: gr.Dropdown, other: gr.Dropdown,
        first: Run | None,
    ):  # fmt: skip
        self.task, kinds = task, task.parameters
        pictured = [name for name, kind in kinds.items() if isinstance(kind, (Picture, Mask))]
        linkable = {name: part for name, part in controls.items() if name not in pictured}
        self._linkable, self._link_inputs = list(linkable), [checkpoint, other, *linkable.values()]
        with gr.Row(elem_classes="files"):
            path, empty = stored_png(first) if first is not None else None, first is None
            self.png = gr.DownloadButton("Save PNG", path, interactive=not empty, min_width=100)
            self.gif = gr.Button("Save GIF", interactive=False, visible=empty, min_width=100)
            self.zip = gr.Button("Save ZIP", interactive=False, visible=empty, min_width=100)
            link = gr.Button("Copy link", min_width=100)
        if pictured:
            gr.Markdown(
                "The PNG opens here again: it holds the settings and your pictures. A link holds the settings alone.",
                elem_classes="help",
            )
        self.outputs = [self.png, self.gif, self.zip]
        self.address = gr.Textbox(elem_classes="aside")
        export = gr.File(elem_classes="aside")
        for button, kind, write in ((self.gif, "gif", save_gif), (self.zip, "zip", save_all)):
            made = button.click(partial(make_file, kind, write), run_state, export, **PRIVATE)
            made.success(None, export, None, js="file => synth.download(file)", **PRIVATE)
        linked = link.click(self._link, self._link_inputs, self.address, **PRIVATE)
        linked.success(None, self.address, None, js="query => synth.copyLink(query)", **PRIVATE)

    def finish(self, run: Run, folder: str) -> dict:
        """Updates for a result: its PNG, in ``folder``, which holds its settings, and the comparison if any."""
        if run.recorder is None:
            return self.show_stored(run)
        return self._offer(save_png(run, folder), len(run.frame.pictures) > 1, run.frame.step > 1)

    def show_stored(self, run: Run) -> dict:
        """Updates for a stored result, whose steps are not kept."""
        return self._offer(stored_png(run), False, False)

    def _offer(self, path: str, several: bool, moving: bool) -> dict:
        updates = [gr.DownloadButton(value=path, interactive=True)]
        updates += [gr.Button(visible=moving, interactive=True), gr.Button(visible=several, interactive=True)]
        return dict(zip(self.outputs, updates, strict=True))

    def clear(self) -> dict:
        """Updates for no result."""
        parts = [gr.DownloadButton(value=None, interactive=False), gr.Button(interactive=False)]
        return dict(zip(self.outputs, [*parts, gr.Button(interactive=False)], strict=True))

    def update_link_after(self, event) -> None:
        """Show the link to the settings of a run in the address bar when its event ends."""
        shown = event.then(self._link, self._link_inputs, self.address, **PRIVATE)
        shown.then(None, self.address, None, js="query => synth.showLink(query)", **PRIVATE)

    def _link(self, checkpoint: str, other: str, *values) -> str:
        settings = dict(zip(self._linkable, values, strict=True))
        with show_errors():
            record = Record(self.task.name, checkpoint, settings, compare="" if other == NOTHING else other)
            return record.to_query(self.task.defaults(load(checkpoint)))


def save_png(run: Run, folder: str) -> str:
    """The path in ``folder`` of a PNG of the run, and of the comparison if any, with its settings inside."""
    path, scale = new_file(folder, f"{file_name(run.frame.record)}.png"), zoom(run.frame)
    if run.other is None:
        run.frame.save(path, zoom=scale)
        return str(path)
    names = [frame.record.checkpoint for frame in (run.frame, run.other)]
    sheets = [pictures.sheet(frame.pictures, zoom=scale) for frame in (run.frame, run.other)]
    page = beside(dict(zip(map(panel, names), sheets, strict=True)))
    replace(run.frame.record, compare=names[1]).save(page, path)
    return str(path)


@lru_cache(maxsize=128)
def stored_png(run: Run) -> str:
    """The same of a stored result, made once for every visitor."""
    return save_png(run, SHARED)


def save_gif(run: Run, path: str) -> None:
    assert run.recorder is not None
    run.recorder.save_gif(path, zoom=zoom(run.frame))


def save_all(run: Run, path: str) -> None:
    save_zip(run.frame, path)


def make_file(kind: str, write: Callable[[Run, str], None], run: Run | None):
    """A file of the run, for the time that gradio takes to copy it."""
    if run is None or run.recorder is None:
        raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
    with tempfile.TemporaryDirectory() as folder:
        path = new_file(folder, f"{file_name(run.frame.record)}.{kind}")
        write(run, str(path))
        yield str(path)
