"""Runs, one at a time, as a stream of what there is to show."""

from __future__ import annotations

import math
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
from synth.web.line import LINE
from synth.web.visitors import check_size, current, forget_oldest_runs

RATE = 8
"""Frames a second that the browser is sent, at most."""
PATIENCE, PUBLIC_PATIENCE = 120, 30
"""Seconds after which a run ends where it is if others wait; with visitors who do not know each other."""


@dataclass(frozen=True)
class Waiting:
    """A run that has not begun: the number of runs ahead of it, and about how many seconds they take."""

    ahead: int
    seconds: float


@dataclass(frozen=True)
class Progress:
    """A frame of a run, and the seconds since the run began.

    rows: what each picture is, where they differ; done: whether it is the last frame; ended_early: whether others
    who wait are the reason.
    """

    frame: Frame
    seconds: float
    rows: tuple[str, ...]
    done: bool
    ended_early: bool


def describe(progress: Waiting | Progress) -> str:
    """The status of a run in words."""
    if isinstance(progress, Waiting):
        return f"Waiting: {progress.ahead} before you, about {max(1, progress.seconds):.0f} s."
    frame, seconds = progress.frame, f"{progress.seconds:.1f} s"
    if progress.ended_early:
        parts = [f"Ended at step {frame.step} of {frame.steps} after {seconds}, since others wait."]
    elif progress.done:
        parts = [f"Done in {seconds}, {frame.steps} step{'s' * (frame.steps != 1)}."]
    else:
        parts = [f"Step {frame.step} of {frame.steps}, {seconds}."]
    if progress.rows:
        parts.append(f"Row by row: {', '.join(dict.fromkeys(progress.rows))}.")
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
                    check_size(frame.pictures, int(frame.settings.get("size", 1)))
                yield converted(frame, lambda tensor: tensor.detach().cpu().numpy())


def converted(frame: Frame, convert: Callable) -> Frame:
    """The frame with its tensors, or what stands for them, converted."""
    return replace(frame, pictures=convert(frame.pictures), loss=convert(frame.loss), start=convert(frame.start))


def stream(
    task: Task, checkpoint: str, settings: dict, watch: Callable[[Frame], object] = lambda frame: None
) -> Iterator[Waiting | Progress]:
    """The progress of a run: ``Waiting`` while others run, then the start at once, RATE frames a second, and the last.

    ``watch`` sees every frame. gr.Error, one sentence, for bad settings or a full queue.
    """
    with sentences(), LINE.place(current()) as runs_ahead:
        ahead = runs_ahead()
        while ahead:
            yield Waiting(ahead, LINE.estimate(ahead))
            ahead = runs_ahead(0.25)
        task.check_single(settings)
        model = load(checkpoint)
        patience = PUBLIC_PATIENCE if access.is_public() else PATIENCE
        began, shown = time.monotonic(), -math.inf
        forget_oldest_runs()
        with closing_if_idle(packed_frames(task.name, checkpoint, settings)) as frames:
            for packed in iter(lambda: run_on_worker(next, frames, None), None):
                watch(frame := converted(packed, torch.from_numpy))
                now = time.monotonic()
                ended_early = now - began > patience and len(LINE) > 1
                done = frame.step == frame.steps or ended_early
                if done or now - shown >= 1 / RATE:
                    yield Progress(frame, now - began, row_names(frame, model), done, ended_early)
                    shown = time.monotonic()
                if done:
                    break
        LINE.record_duration(time.monotonic() - began)


def row_names(frame: Frame, model: Classifier) -> tuple[str, ...]:
    """What each picture of the frame is, where they differ: the task's captions, or each class in turn."""
    if not frame.captions and len(frame.pictures) > 1 and frame.settings.get("class_name", "") is None:
        return tuple(model.classes[index % len(model.classes)] for index in range(len(frame.pictures)))
    return frame.captions
