"""Events that concern several tabs: another checkpoint, a card, a result used elsewhere, settings that come back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import gradio as gr

from synth import Classifier
from synth.record import Record
from synth.tasks import find_task
from synth.web.checkpoints import NOTHING, download, load, ordinary, ordinary_box, other_menu
from synth.web.editor import enlarge
from synth.web.events import PRIVATE, show_errors
from synth.web.reuse import NOWHERE
from synth.web.run import Run
from synth.web.status import show
from synth.web.stored import Stored, cards, index
from synth.web.tab import Tab
from synth.web.words import TOUR


@dataclass(frozen=True)
class Head:
    """What lies above the tabs, and below them.

    cards: stored results; note: says what is loaded, and what the tour shows; other (below) and box: the second
    checkpoint; dropped (below): a saved picture.
    """

    cards: gr.Gallery
    tour: gr.Button
    note: gr.HTML
    checkpoint: gr.Dropdown
    box: gr.Checkbox
    other: gr.Dropdown
    dropped: gr.File


class Navigation:
    """The handlers, wired to the ``tabs`` (by name) of ``bar`` and to what lies above them."""

    def __init__(self, page: gr.Blocks, bar: gr.Tabs, tabs: dict[str, Tab], head: Head):
        self.bar, self.tabs, self.head = bar, tabs, head
        self.loaded, self.query, self.step = gr.State(head.checkpoint.value), gr.State(), gr.State(0)
        self.loading = gr.State([])
        every = list(tabs.values())
        galleries = [(tab.controls[name], gallery) for tab in every for name, gallery in tab.galleries.items()]
        choices = {
            head.checkpoint,
            head.other,
            self.loaded,
            *(menu for tab in every for menu in tab.class_menus.values()),
        }
        inputs = choices.union(*((control, gallery.checksum) for control, gallery in galleries))
        self.outputs = [
            bar,
            head.checkpoint,
            head.other,
            head.box,
            head.note,
            self.loaded,
            self.step,
            head.tour,
            head.cards,
        ]
        self.outputs += [part for tab in every for part in tab.outputs]

        self._connect(head.checkpoint.input, self._change_checkpoint, {self.loading, *inputs})
        opened = self._connect(head.cards.select, self._open_card, inputs)
        shown = self._connect(head.tour.click, self._go_on, {self.step, *inputs})
        for event in (opened, shown):
            event.success(None, None, None, js="() => synth.opened()", **PRIVATE)
        self._connect(head.dropped.upload, self._open_picture, {head.dropped, *inputs})
        self._connect(self.query.change, self._open_link, {self.query, *choices})
        page.load(read_query, None, self.query, **PRIVATE)
        head.box.input(twin_of, [head.checkpoint, head.box], head.other, **PRIVATE)
        head.other.input(ordinary_box, [head.checkpoint, head.other], head.box, **PRIVATE)
        pictures = [tab.controls["picture"] for tab in every if "picture" in tab.galleries]
        for tab in every:
            reuse = tab.results.reuse
            moved = reuse.use.input(self._use_result, [reuse.run_state, reuse.use], [bar, *pictures], **PRIVATE)
            moved.then(lambda: NOWHERE, None, reuse.use, **PRIVATE)

    def _connect(self, trigger, handler, inputs):
        """Wire a handler that may load a checkpoint: the page says so at once, and nothing runs until it is done."""
        trigger(None, None, self.head.note, js="() => synth.loading()", **PRIVATE)
        event = trigger(handler, inputs, self.outputs, **PRIVATE)
        for ended in (event.success, event.failure):
            ended(None, None, None, js="() => synth.loaded()", **PRIVATE)
        return event

    def _load(self, name: str, values: dict, note: str = "") -> Iterator[dict]:
        """Updates that say how far the download is; gr.Error after one that brings the old name back."""
        try:
            with show_errors():
                for words in download(name):
                    yield {self.head.note: show(words)}
                load(name)
        except gr.Error:
            yield self._as_before(values)
            raise

    def _as_before(self, values: dict) -> dict:
        return {self.head.checkpoint: gr.Dropdown(value=values[self.loaded]), self.head.note: ""}

    def _change_checkpoint(self, values: dict):
        name, loading = values[self.head.checkpoint] or values[self.loaded], values[self.loading]
        if name in loading:  # the menu tells a choice twice
            yield gr.skip()
            return
        loading.append(name)
        try:
            yield from self._load(name, values)
            yield self._renew(name, values, NOTHING) | {self.head.note: "", self.head.checkpoint: name}
        finally:
            loading.remove(name)

    def _open_card(self, values: dict, at: gr.SelectData):
        yield from self._open_stored(cards()[at.index], values, "")

    def _go_on(self, values: dict):
        """The next step of the tour."""
        here = [(name, words) for name, words in TOUR.items() if name in index()]
        step = values[self.step] % len(here) if here else 0
        if here:
            name, words = here[step]
            ended = step + 1 == len(here)
            button = gr.Button("Take the tour again" if ended else f"Go on to {step + 2} of {len(here)}")
            more = {self.step: 0 if ended else step + 1, self.head.tour: button}
            yield from self._open_stored(index()[name], values, f"{step + 1} of {len(here)}: {words}", more)

    def _open_stored(self, one: Stored, values: dict, note: str, more: dict | None = None):
        yield from self._load(one.checkpoint, values)
        updates = {self.head.note: show(note) if note else "", self.bar: gr.Tabs(selected=one.task)} | (more or {})
        updates |= self._renew(one.checkpoint, values, one.compare or NOTHING)
        updates |= {self.head.cards: gr.Gallery(selected_index=None)}  # so that it can be clicked again
        yield updates | self.tabs[one.task].open_stored(load(one.checkpoint), one)

    def _open_picture(self, values: dict):
        path = values[self.head.dropped]
        if path:
            with show_errors():
                record = Record.read(path, "picture")
            yield from self._open(record, values)
        else:
            yield {self.head.note: ""}

    def _open_link(self, values: dict):
        yield from self._open(Record.from_query(values[self.query]), values)

    def _open(self, record: Record, values: dict):
        """Updates that open a tab with the settings of ``record``, after a change of checkpoint where that differs."""
        try:
            with show_errors():
                task = find_task(record.task)
                yield from self._load(record.checkpoint, values)
                model, tab = load(record.checkpoint), self.tabs[task.name]
                settings = record.restore(task, model)
        except gr.Error:
            yield self._as_before(values)
            raise
        updates = self._renew(record.checkpoint, values, record.compare or NOTHING)
        updates |= {tab.preset: "tuned"} | tab.restore(model, settings)
        yield updates | {self.bar: gr.Tabs(selected=task.name), self.head.note: ""}

    def _use_result(self, run: Run | None, name: str) -> dict:
        if name == NOWHERE:
            return gr.skip()
        if run is None:
            raise gr.Error("Expected a finished run: press Run first.", print_exception=False)
        return {self.bar: gr.Tabs(selected=name), self.tabs[name].controls["picture"]: enlarge(run.picture)}

    def _renew(self, name: str, values: dict, compare: str) -> dict:
        """Updates for the checkpoint called ``name``; of the tabs only where it is another one."""
        updates = {self.head.other: other_menu(name, compare), self.head.box: ordinary_box(name, compare)}
        if name == values[self.loaded]:
            return updates
        updates |= {self.head.checkpoint: name, self.loaded: name}
        model: Classifier = load(name)
        return updates | {part: one for tab in self.tabs.values() for part, one in tab.renew(model, values).items()}


def twin_of(checkpoint: str, compared: bool) -> str:
    """The choice of the second checkpoint for the box beside the first."""
    return ordinary(checkpoint) if compared else NOTHING


def read_query(request: gr.Request):
    """The query of a link with settings, which the page was opened with."""
    return dict(request.query_params) if "task" in request.query_params else gr.skip()
