"""What a tab shows: the frame of a run, what is known about it, and the picture to look at."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from synth import TASKS, Frame, pictures
from synth.recorder import Recorder
from synth.web import views

KEPT = 1800
"""Seconds for which a finished run can be looked at; then its memory is freed."""


@dataclass(frozen=True, eq=False)
class Run:
    """The newest frame of a run, which is its result once it ended.

    rows: what each picture is, where they differ; recorder: all steps, None for a stored picture; chosen: the index of
    the picture that was clicked; other: the frame of the second checkpoint; ended: set when nothing more will come.
    """

    frame: Frame
    rows: tuple[str, ...] = ()
    recorder: Recorder | None = None
    chosen: int | None = None
    other: Frame | None = None
    ended: threading.Event | None = None

    def __deepcopy__(self, memo: dict) -> Run:
        """Itself, since nobody changes it: gradio copies what a state begins with for every visitor."""
        return self

    @property
    def size(self) -> int:
        """Bytes of its pictures; stored ones are everybody's."""
        if self.recorder is None:
            return 0
        frames = [self.frame, *([self.other] if self.other is not None else [])]
        return self.recorder.size + sum(frame.pictures.nbytes + frame.start.nbytes for frame in frames)

    @property
    def has_slider(self) -> bool:
        """Whether it is shown as before and after: one picture, and nothing beside it."""
        return len(self.frame.pictures) == 1 and not self.rows and self.other is None

    @property
    def walk(self) -> views.Walk | None:
        """How it is shown if its pictures lead from one to the next: at first with that in the middle."""
        if not TASKS[self.frame.record.task].walks or self.other is not None:
            return None
        count = len(self.frame.pictures)
        return views.Walk(count, count // 2 if self.chosen is None else self.chosen)

    @property
    def first(self) -> int:
        """How many tiles of the sheet come before the pictures: the original, where each picture is something else.

        None before four, which fill a square.
        """
        alone = len(self.frame.pictures) == 4
        return int(bool(self.rows) and self.frame.settings.get("picture") is not None and not alone)

    def sheet(self, x: Tensor | None = None, pixels: bool = False) -> Image.Image:
        """The pictures, or others of the same run, to look at."""
        return self.sheet_of(self.frame, pixels, x)

    def sheet_of(self, frame: Frame, pixels: bool = False, x: Tensor | None = None) -> Image.Image:
        """The pictures of ``frame``, this run's or the second checkpoint's, to look at."""
        x, rows = frame.pictures if x is None else x, frame.captions or self.rows
        if self.walk:
            return self.walk.draw(x, pixels=pixels)
        if self.first:
            original = read(frame.settings["picture"], x.shape[-1])
            x, rows = torch.cat([original, x]), ("original", *rows)
        chosen = None if self.chosen is None else self.chosen + self.first
        return views.sheet(x, rows, pixels=pixels, chosen=chosen)

    def before(self, pixels: bool = False) -> Image.Image:
        """What the pictures came from."""
        return views.sheet(TASKS[self.frame.record.task].shown_start(self.frame), pixels=pixels)

    def at(self, x: float, y: float) -> int:
        """Which picture lies at pixel (x, y) of the sheet; the first for the original."""
        if self.walk:
            return self.walk.at(x, y)
        rows = ("original", *self.rows) if self.first else self.rows
        count = len(self.frame.pictures)
        height, width = self.frame.pictures.shape[2:]
        layout = views.Layout.of(count + self.first, width, rows, height)
        return min(max(layout.at(x, y) - self.first, 0), count - 1)

    @property
    def picture(self) -> Image.Image:
        """The chosen picture, or the first, of a walk that in the middle."""
        return self.frame.images[self.walk.current if self.walk else self.chosen or 0]


def read(picture, size: int) -> Tensor:
    """The picture of a record, read from a file or not, as (1, 3, size, size)."""
    if isinstance(picture, Tensor):
        return F.interpolate(picture[:1], size=(size, size), mode="nearest")
    return pictures.to_tensor(pictures.read_all(picture)[:1], size)
