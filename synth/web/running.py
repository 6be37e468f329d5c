"""Runs, one at a time: the line that people wait in, and the stream of what a run shows."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from functools import lru_cache

import gradio as gr
import torch

from synth import Classifier, Frame, Task, hub

RATE = 8
"""Frames a second that the browser is sent, at most."""
MOST_WAITING = 20
"""Runs that may wait; one more is told that the queue is full."""
PATIENCE = 120
"""Seconds after which a run ends where it is if others wait."""
FULL = "queue: expected at most {} waiting runs, got one more; the queue is full, try again in a minute"


class Line:
    """First come, first served, one at a time. Gradio's queue alone would start a run before a cancelled one ended."""

    def __init__(self):
        self._places: deque = deque()
        self._changed = threading.Condition()
        self._seconds = 2.0

    def __len__(self) -> int:
        """How many are in it, the one that runs among them."""
        return len(self._places)

    @contextmanager
    def place(self):
        """Stand in line; yields ``ahead(timeout)``: waits a little, then says how many are still before."""
        ticket = object()
        with self._changed:
            if len(self._places) > MOST_WAITING:
                raise ValueError(FULL.format(MOST_WAITING))
            self._places.append(ticket)

        def ahead(timeout: float = 0) -> int:
            with self._changed:
                self._changed.wait_for(lambda: self._places[0] is ticket, timeout)
                return self._places.index(ticket)

        try:
            yield ahead
        finally:
            with self._changed:
                self._places.remove(ticket)
                self._changed.notify_all()

    def took(self, seconds: float) -> None:
        """Note how long a run took, for the estimates to come."""
        self._seconds += 0.3 * (seconds - self._seconds)

    def estimate(self, ahead: int) -> float:
        """Seconds until the turn of somebody who has ``ahead`` runs before."""
        return ahead * self._seconds


LINE = Line()
WORKER = ThreadPoolExecutor(1)


def computed(function: Callable, *arguments):
    """What ``function`` gives, worked out on the one thread that uses the models.

    Each of gradio's many threads would keep the memory that a step needs.
    """
    return WORKER.submit(function, *arguments).result()


@lru_cache(maxsize=3)
def load(checkpoint: str) -> Classifier:
    """The checkpoint, from the few that were used last or from its files; ValueError if there is no such thing."""
    return hub.load(checkpoint, device="cuda" if torch.cuda.is_available() else "cpu")


def first_checkpoint() -> str:
    return hub.selectable()[0]


def download(checkpoint: str) -> Iterator[str]:
    """Words on how far the checkpoint has come from the Hub, until it is here; none if it is."""
    state = {"words": f"Asking the Hub for {checkpoint} ..."}

    def progress(done: int, total: int) -> None:
        state["words"] = f"Downloading {checkpoint}: {done / 1e6:.1f} of {total / 1e6:.1f} MB"

    with ThreadPoolExecutor(1) as thread:
        task = thread.submit(hub.folder, checkpoint, progress=progress)
        while not wait([task], timeout=0.3).done:
            yield state["words"]
        task.result()


@contextmanager
def one_sentence():
    """Show a ValueError with the sentence that Python and the command line give."""
    try:
        yield
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None


def stream(
    task: Task, checkpoint: str, settings: dict, watch: Callable[[Frame], object] = lambda frame: None
) -> Iterator[tuple[Frame | None, str]]:
    """(frame, status): the start at once, RATE a second, and the last; no frame while others run.

    ``watch`` sees every frame. gr.Error, one sentence, for bad settings or a full queue.
    """
    with one_sentence(), LINE.place() as ahead:
        waiting = ahead()
        while waiting:
            yield None, f"waiting: {waiting} before you, about {max(1, LINE.estimate(waiting)):.0f} s"
            waiting = ahead(0.25)
        model = load(checkpoint)
        began, shown = time.monotonic(), -math.inf
        with closing(task.frames(model, **settings)) as frames:
            for frame in iter(lambda: computed(next, frames, None), None):
                watch(frame)
                now = time.monotonic()
                impatient = now - began > PATIENCE and len(LINE) > 1
                last = frame.step == frame.steps or impatient
                if now - shown < 1 / RATE and not last:
                    continue
                status = f"step {frame.step} of {frame.steps}, {now - began:.1f} s"
                if frame.captions:
                    status += f"; row by row: {', '.join(frame.captions)}"
                elif len(frame.pictures) > 1 and frame.settings["settings"].get("class_name", "") is None:
                    status += f"; row by row: {', '.join(model.classes[: len(frame.pictures)])}"
                status += f"; {frame.note}" if frame.note else ""
                if impatient:
                    status += f"; ended after {PATIENCE} s, since others wait"
                yield frame, f"done: {status}" if last else status
                shown = time.monotonic()
                if last:
                    break
        LINE.took(time.monotonic() - began)
