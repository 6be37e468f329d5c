"""How pictures of a run are shown: enlarged, several on one sheet."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from PIL import Image
from torch import Tensor

from synth import Frame, pictures

IMAGE = {
    "format": "png", "interactive": False, "buttons": ["download", "fullscreen"], "elem_classes": "picture",
    "min_width": 120,
}  # fmt: skip
"""Arguments of every picture on the page; other formats than PNG would lose a little."""


def zoom(frame: Frame) -> int:
    """How wide each pixel is shown: one picture about 256 pixels a side, several about 128."""
    return max(1, round((256 if len(frame.pictures) == 1 else 128) / frame.pictures.shape[-1]))


def width(frame: Frame) -> int:
    """How wide each picture is shown."""
    return frame.pictures.shape[-1] * zoom(frame)


def sheet(frame: Frame, x: Tensor | None = None) -> Image.Image:
    """The frame's pictures, or others of the same run, on one sheet."""
    return pictures.sheet(frame.pictures if x is None else x, zoom=zoom(frame))


@contextmanager
def image_files() -> Iterator:
    """Yields ``save(image)``, which writes a PNG under a name of its own and returns its path; all go at the end.

    Gradio would name it after its content, and rewrite the file while another visitor's browser is reading it.
    """
    with tempfile.TemporaryDirectory() as folder:

        def save(image: Image.Image) -> str:
            image.save(path := f"{folder}/{uuid4().hex}.png")
            return path

        yield save


def picture_at(frame: Frame, x: float, y: float) -> int:
    """Which picture of the frame's sheet lies at pixel (x, y)."""
    count, side = len(frame.pictures), width(frame) + pictures.GAP
    columns = pictures.columns_for(count)
    return min(int(y // side) * columns + min(int(x // side), columns - 1), count - 1)
