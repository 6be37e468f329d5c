"""A run as a whole: its pictures and figures over the steps, and files of it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from synth import pictures
from synth.classifier import RobustClassifier
from synth.tasks.base import Frame

MOST = 60
"""Frames kept, at most about; of a longer run every second, fourth, ... step."""


class History:
    """Collects the frames of a run, thinned out evenly as it grows; the first and the last are always there.

    ``last`` is the newest frame itself. Of the others 8-bit pictures are kept, and each picture's loss and distance.
    """

    def __init__(self):
        self._kept: list[tuple[int, Tensor, Tensor, Tensor]] = []
        self._stride = 1
        self.last: Frame | None = None

    def add(self, frame: Frame) -> None:
        """Take note of the next frame."""
        if self._kept and self._kept[-1][0] % self._stride:  # the last so far, which is not on the stride
            self._kept.pop()
        if len(self._kept) >= MOST:
            self._stride *= 2
            self._kept = [kept for kept in self._kept if kept[0] % self._stride == 0]
        levels = (frame.pictures.detach().cpu().clamp(0, 1) * 255).round().byte()
        away = (frame.pictures - frame.start).flatten(1).norm(dim=1).cpu()
        self._kept.append((frame.step, levels, frame.loss.detach().cpu(), away))
        self.last = frame

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def steps(self) -> list[int]:
        """The steps that are kept."""
        return [step for step, *_ in self._kept]

    def nearest(self, step: float) -> int:
        """The index of the kept step that is nearest to ``step``."""
        return min(range(len(self)), key=lambda index: abs(self.steps[index] - step))

    def sheet(self, index: int, *, side: int | None = None) -> Image.Image:
        """All pictures of a kept step, each shown ``side`` pixels wide (default: its own size)."""
        levels = self._kept[index][1]
        zoom = 1 if side is None else max(1, round(side / levels.shape[-1]))
        return pictures.sheet(levels.float() / 255, zoom=zoom)

    def losses(self, picture: int = 0) -> list[float]:
        """Of one picture at every kept step; like the loop's, of the state before the step."""
        return [loss[picture].item() for _, _, loss, _ in self._kept]

    def distances(self, picture: int = 0) -> list[float]:
        """L2 distance of one picture from its start at every kept step."""
        return [away[picture].item() for *_, away in self._kept]

    @torch.no_grad()
    def probabilities(self, model: RobustClassifier, picture: int = 0) -> Tensor:
        """What ``model`` makes of one picture at every kept step, computed now: (steps, classes)."""
        shown = [levels[picture][None].to(model.device).float() / 255 for _, levels, *_ in self._kept]
        sizes = [x.shape for x in shown]
        if all(size == sizes[0] for size in sizes):
            return model(torch.cat(shown)).softmax(1).cpu()
        return torch.cat([model(x) for x in shown]).softmax(1).cpu()

    def save_gif(self, path: str | Path, *, side: int | None = None, seconds: float = 3) -> None:
        """An endless animation of all pictures that takes ``seconds`` and rests on the last; settings as its comment.

        One palette for all frames, made from the last sheet and the first, so that colours do not flicker.
        """
        sheets = [self.sheet(index, side=side or self._kept[-1][1].shape[-1]) for index in range(len(self))]
        both = Image.new("RGB", (sheets[-1].width, sheets[-1].height * 2))
        both.paste(sheets[0].resize(sheets[-1].size), (0, 0))
        both.paste(sheets[-1], (0, sheets[-1].height))
        palette = both.quantize(256, method=Image.Quantize.MEDIANCUT)
        frames = [sheet.quantize(palette=palette, dither=Image.Dither.NONE) for sheet in sheets]
        pause = max(20, round(1000 * seconds / len(frames) / 10) * 10)
        comment = json.dumps(_words(self.last.settings)).encode()
        durations = [pause] * (len(frames) - 1) + [1500]
        frames[0].save(
            path, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, comment=comment
        )


def save_zip(frame: Frame, path: str | Path) -> None:
    """A ZIP of every picture at its own size and of their sheet, PNGs with the settings inside, and settings.json."""
    with zipfile.ZipFile(path, "w") as archive:
        for index, image in enumerate(frame.images):
            archive.writestr(f"{index + 1:02}.png", _png(image, frame.settings))
        archive.writestr("sheet.png", _png(pictures.sheet(frame.pictures), frame.settings))
        archive.writestr("settings.json", json.dumps(_words(frame.settings), indent=1))


def _png(image: Image.Image, settings: dict) -> bytes:
    pictures.save(image, buffer := io.BytesIO(), settings)
    return buffer.getvalue()


def _words(record: dict) -> dict:
    """The settings without pictures, which the PNGs carry."""
    words = {name: value for name, value in record["settings"].items() if not isinstance(value, Tensor)}
    return record | {"settings": words}
