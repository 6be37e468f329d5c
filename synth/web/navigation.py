"""Events that concern several tabs: another checkpoint, a result used elsewhere, settings that come back."""

from __future__ import annotations

import gradio as gr

from synth import Classifier
from synth.record import Record
from synth.tasks import find_task
from synth.web.checkpoints import download, load
from synth.web.events import PRIVATE, escape, show_errors
from synth.web.inspection import Run
from synth.web.reuse import chosen_picture
from synth.web.tab import Tab


class Navigation:
    """The handlers, wired to the ``tabs`` (by name) of ``bar``, the ``checkpoint`` menu and a ``dropped`` picture.

    note: shows how far a download of the checkpoint is.
    """

    def __init__(
        self,
        page: gr.Blocks,
        bar: gr.Tabs,
        tabs: dict[str, Tab],
        checkpoint: gr.Dropdown,
        note: gr.Markdown,
        dropped: gr.File,
    ):
        self.bar, self.tabs, self.checkpoint, self.dropped, self.query = bar, tabs, checkpoint, dropped, gr.State()
        every = list(tabs.values())
        galleries = [(tab.controls[name], gallery) for tab in every for name, gallery in tab.galleries.items()]
        choices = {checkpoint, *(menu for tab in every for menu in tab.class_menus.values())}
        inputs = choices.union(*((control, gallery.checksum) for control, gallery in galleries))
        outputs = [part for tab in every for part in (tab.preset, *tab.controls.values())]
        outputs += [part for _, gallery in galleries for part in (gallery.gallery, gallery.checksum)]

        downloaded = checkpoint.input(show_download, checkpoint, note, **PRIVATE)
        downloaded.success(self._change_checkpoint, inputs, outputs, **PRIVATE)
        downloaded.failure(lambda: gr.Markdown(visible=False), None, note, **PRIVATE)
        pictures = [tab.controls["picture"] for tab in every if "picture" in tab.galleries]
        for tab in every:
            reuse = tab.results.reuse
            moved = reuse.use.input(self._use_result, [reuse.run_state, reuse.use], [bar, *pictures], **PRIVATE)
            moved.then(lambda: None, None, reuse.use, **PRIVATE)
        dropped.upload(self._open_picture, {dropped, *inputs}, [bar, checkpoint, *outputs], **PRIVATE)
        page.load(read_query, None, self.query, **PRIVATE)
        self.query.change(self._open_link, {self.query, *choices}, [bar, checkpoint, *outputs], **PRIVATE)

    def _change_checkpoint(self, values: dict) -> dict:
        with show_errors():
            return self._renew(load(values[self.checkpoint]), values)

    def _use_result(self, run: Run | None, name: str) -> dict:
        if run is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        return {self.bar: gr.Tabs(selected=name), self.tabs[name].controls["picture"]: chosen_picture(run)}

    def _open_picture(self, values: dict) -> dict:
        with show_errors():
            path = values[self.dropped]
            return self._open(Record.read(path, "picture"), values) if path else {self.checkpoint: gr.skip()}

    def _open_link(self, values: dict) -> dict:
        with show_errors():
            return self._open(Record.from_query(values[self.query]), values)

    def _open(self, record: Record, values: dict) -> dict:
        """Updates that open a tab with the settings of ``record``, after a change of checkpoint where that differs."""
        task, checkpoint = find_task(record.task), record.checkpoint
        model, tab = load(checkpoint), self.tabs[task.name]
        settings = record.restore(task, model)
        updates = self._renew(model, values) if checkpoint != values[self.checkpoint] else {tab.preset: "tuned"}
        updates |= tab.restore(model, settings)
        return updates | {self.bar: gr.Tabs(selected=task.name), self.checkpoint: checkpoint}

    def _renew(self, model: Classifier, values: dict) -> dict:
        return {part: update for tab in self.tabs.values() for part, update in tab.renew(model, values).items()}


def show_download(checkpoint: str):
    """How far the checkpoint's download is, while there is one."""
    with show_errors():
        for sentence in download(checkpoint):
            yield gr.Markdown(escape(sentence), visible=True)
    yield gr.Markdown(visible=False)


def read_query(request: gr.Request):
    """The query of a link with settings, which the page was opened with."""
    return dict(request.query_params) if "task" in request.query_params else gr.skip()
