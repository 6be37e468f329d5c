"""Runs, which take turns, as a stream of what there is to show."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import torch

from synth import TASKS, Classifier, Frame, Task, access
from synth.parameters import sentence
from synth.web.checkpoints import load, load_to
from synth.web.events import sentences
from synth.web.gpu import borrow_gpu, closing_if_idle, run_on_worker, working_device
from synth.web.line import LINE, Place
from synth.web.memory import returning_memory
from synth.web.visitors import check_size, current, forget_oldest_runs, pixels

RATE = 8
"""Frames a second that the browser is sent, at most."""
ASK = 0.25
"""Seconds after which a run that waits for its turn can be stopped."""
PATIENCE, PUBLIC_PATIENCE = 120, 30
"""Seconds of turns after which a run ends where it is if others wait; with visitors who do not know each other."""


@dataclass(frozen=True)
class Waiting:
    """A run that has not begun, and the number of runs ahead of it."""

    ahead: int


@dataclass(frozen=True)
class Progress:
    """A frame of a run, and the seconds since the run began.

    rows: what each picture is, where they differ; others: runs with which it takes turns; done: whether it is the last
    frame; ended_early: whether others who wait are the reason.
    """

    frame: Frame
    seconds: float
    rows: tuple[str, ...]
    others: int
    done: bool
    ended_early: bool


def describe(progress: Waiting | Progress) -> str:
    """The status of a run in words."""
    if isinstance(progress, Waiting):
        return f"Waiting: {progress.ahead} before you."
    frame, seconds = progress.frame, f"{progress.seconds:.1f} s"
    if progress.ended_early:
        parts = [f"Ended at step {frame.step} of {frame.steps} after {seconds}, since others wait."]
    elif progress.done:
        parts = [f"Done in {seconds}, {frame.step} step{'s' * (frame.step != 1)}."]
    else:
        turns = f", in turn with {progress.others} other{'s' * (progress.others != 1)}" if progress.others else ""
        parts = [f"Step {frame.step} of {frame.steps}, {seconds}{turns}."]
    if frame.note:
        parts.append(f"{sentence(frame.note)}.")
    return " ".join(parts)


@borrow_gpu
def packed_frames(task: str, checkpoint: str, settings: dict) -> Iterator[Frame]:
    """Frames of the task called ``task``, with arrays for tensors, so that they reach another process whole.

    gr.Error, one sentence, for bad settings: of other errors ZeroGPU says the type alone.
    """
    with sentences():
        model = load_to(working_device(), checkpoint)
        with closing(TASKS[task].frames(model, **settings)) as frames:
            for frame in frames:
                if frame.step == 0:
                    check_size(frame)
                yield converted(frame, lambda tensor: tensor.detach().cpu().numpy())


def converted(frame: Frame, convert: Callable) -> Frame:
    """The frame with its tensors, or what stands for them, converted."""
    return replace(frame, pictures=convert(frame.pictures), loss=convert(frame.loss), start=convert(frame.start))


def stream(
    task: Task, checkpoint: str, settings: dict, watch: Callable[[Frame], object] = lambda frame: None
) -> Iterator[Waiting | Progress]:
    """The progress of a run: ``Waiting`` for its first turn, then the start, RATE frames a second, and the last.

    While others have their turns, the same frame comes again. ``watch`` sees every frame. gr.Error, one sentence, for
    bad settings or a full queue.
    """
    with sentences(), returning_memory(), LINE.place(current(), checkpoint) as place:
        ahead = place.ahead()
        while ahead:
            yield Waiting(ahead)
            ahead = place.ahead(ASK)
        task.check_single(settings)
        model, began = load(checkpoint), time.monotonic()
        forget_oldest_runs()
        with closing_if_idle(packed_frames(task.name, checkpoint, settings)) as frames:
            turn = take_turn(frames, place, watch)
            while True:
                place.rest()
                frame, done, ended_early = turn
                rows, others = row_names(frame, model), len(LINE) - 1
                progress = Progress(frame, time.monotonic() - began, rows, others, done, ended_early)
                yield progress
                if done:
                    break
                while place.ahead(ASK):
                    yield replace(progress, seconds=time.monotonic() - began)
                turn = (frame, True, True) if place.lost else take_turn(frames, place, watch, frame)


def take_turn(
    frames: Iterator[Frame], place: Place, watch: Callable[[Frame], object], frame: Frame | None = None
) -> tuple[Frame, bool, bool]:
    """The newest frame at the end of a turn, whether it is the last, and whether others who wait are the reason.

    frame: that of the turn before; the first turn ends with the start.
    """
    patience = PUBLIC_PATIENCE if access.is_public() else PATIENCE
    began, first = time.monotonic(), frame is None
    while True:
        packed = run_on_worker(next, frames, None)
        if packed is None:  # every picture has come to rest
            assert frame is not None
            return frame, True, False
        watch(frame := converted(packed, torch.from_numpy))
        used, done = time.monotonic() - began, frame.step == frame.steps
        ended_early = not done and place.used + used > patience and len(LINE) > 1
        if first:
            place.pixels = pixels(frame)
        if first or done or ended_early or used >= 1 / RATE:
            return frame, done or ended_early, ended_early


def row_names(frame: Frame, model: Classifier) -> tuple[str, ...]:
    """What each picture of the frame is, where they differ: the task's captions, or each class in turn."""
    if not frame.captions and len(frame.pictures) > 1 and frame.settings.get("class_name", "") is None:
        return tuple(model.classes[index % len(model.classes)] for index in range(len(frame.pictures)))
    return frame.captions
