"""How pictures of a run are shown: enlarged, several on one sheet with what each of them is, and under which names."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from synth import Frame, pictures
from synth.record import Record

IMAGE = {
    "format": "png", "interactive": False, "buttons": ["fullscreen"], "elem_classes": "picture", "min_width": 120,
}  # fmt: skip
"""Arguments of every result on the page; other formats than PNG would lose a little."""
ONE, FEW, MANY = 448, 160, 80
"""About how wide one picture is shown, each of a few, and each of more than 16."""
GAP, LETTERS, LINE, OUTLINE = 4, 14, 18, "#4f46e5"
STRIP, WORDS = "#1f2937", "white"
"""Colours of what lies below or above captioned pictures, which suit a light page and a dark one."""

WIDEST = 1024
"""Side in pixels of the largest picture on the page; files have all of it."""


def zoom(frame: Frame) -> int:
    """How wide each pixel is in a file: one picture about 256 pixels a side, several about 128."""
    return max(1, round((256 if len(frame.pictures) == 1 else 128) / frame.pictures.shape[-1]))


@dataclass(frozen=True)
class Layout:
    """Where the tiles of a sheet lie: ``count`` of them, ``side`` pixels wide, with ``lines`` of caption below each."""

    count: int
    side: int
    height: int
    lines: int = 0

    @property
    def letters(self) -> int:
        """Height of the captions' letters: large tiles are shown smaller than they are."""
        return max(LETTERS, self.side // 12)

    @property
    def line(self) -> int:
        """Height of a line of caption."""
        return self.letters * LINE // LETTERS

    @classmethod
    def of(cls, count: int, native: int, captions: Sequence[str] = (), height: int | None = None) -> Layout:
        """For pictures ``native`` pixels wide, and as high unless told, whose pixels become whole numbers wide."""
        target = ONE if count == 1 else FEW if count <= 16 else MANY
        zoom = max(1, round(target / native))
        side = native * zoom
        layout = cls(count, side, (height or native) * zoom)
        return replace(layout, lines=max((len(layout.wrap(caption)) for caption in captions), default=0))

    @property
    def columns(self) -> int:
        return 2 if self.count == 4 else pictures.columns_for(self.count)

    @property
    def pitch(self) -> tuple[int, int]:
        """From one tile to the next, across and down."""
        gap = GAP if self.count > 1 else 0
        return self.side + gap, self.height + gap + self.line * self.lines

    def corner(self, index: int) -> tuple[int, int]:
        return index % self.columns * self.pitch[0], index // self.columns * self.pitch[1]

    def at(self, x: float, y: float) -> int:
        """The tile at pixel (x, y)."""
        column = min(int(x // self.pitch[0]), self.columns - 1)
        return min(int(y // self.pitch[1]) * self.columns + column, self.count - 1)

    def wrap(self, caption: str) -> list[str]:
        """The caption in lines that fit, at most three."""
        lines: list[str] = []
        for word in caption.split():
            if lines and len(f"{lines[-1]} {word}") * self.letters * 0.53 < self.side:
                lines[-1] += f" {word}"
            else:
                lines.append(word)
        return lines[:3]


def sheet(x: Tensor, captions: Sequence[str] = (), *, pixels: bool = False, chosen: int | None = None) -> Image.Image:
    """Pictures (N, 3, H, W) on one image to look at, smoothly enlarged, or with crisp ``pixels``.

    captions: what each one is; chosen: the one to outline. Pictures of more than WIDEST pixels a side are shrunk.
    """
    images = pictures.to_images(x)
    for image in images:
        image.thumbnail((WIDEST, WIDEST), reducing_gap=2)
    layout = Layout.of(len(images), images[0].width, captions, images[0].height)
    right, bottom = (max(corner) for corner in zip(*map(layout.corner, range(len(images))), strict=True))
    size = (right + layout.side, bottom + layout.height + layout.line * layout.lines)
    page = Image.new("RGB", size, STRIP if layout.lines else "white")
    pen, font = ImageDraw.Draw(page), ImageFont.load_default(layout.letters)
    for index, image in enumerate(images):
        left, top = layout.corner(index)
        resample = Image.Resampling.NEAREST if pixels else Image.Resampling.BICUBIC
        page.paste(image.resize((layout.side, layout.height), resample), (left, top))
        for line, words in enumerate(layout.wrap(captions[index]) if captions else ()):
            place = (left + layout.side / 2, top + layout.height + layout.line * line + 1)
            pen.text(place, words, WORDS, font, anchor="ma")
        if index == chosen and len(images) > 1:
            pen.rectangle((left, top, left + layout.side - 1, top + layout.height - 1), outline=OUTLINE, width=4)
    return page


@dataclass(frozen=True)
class Walk:
    """Pictures that lead from one to the next: the ``current`` one of ``count`` large, and all of them small below."""

    count: int
    current: int

    @property
    def columns(self) -> int:
        return -(-self.count // -(-self.count // 8))

    @property
    def side(self) -> int:
        """Of each small one, in pixels."""
        return (ONE - GAP * (self.columns - 1)) // self.columns

    def corner(self, index: int) -> tuple[int, int]:
        row, column = divmod(index, self.columns)
        return column * (self.side + GAP), ONE + GAP + row * (self.side + GAP)

    def at(self, x: float, y: float) -> int:
        """The picture at pixel (x, y)."""
        if y < ONE:
            return self.current
        column = min(int(x // (self.side + GAP)), self.columns - 1)
        return min(int((y - ONE - GAP) // (self.side + GAP)) * self.columns + column, self.count - 1)

    def draw(self, x: Tensor, *, pixels: bool = False) -> Image.Image:
        """Pictures (N, 3, S, S) on one image."""
        resample = Image.Resampling.NEAREST if pixels else Image.Resampling.BICUBIC
        images = pictures.to_images(x)
        page = Image.new("RGB", (ONE, self.corner(self.count - 1)[1] + self.side), "white")
        page.paste(images[self.current].resize((ONE, ONE), resample), (0, 0))
        for index, image in enumerate(images):
            left, top = self.corner(index)
            page.paste(image.resize((self.side, self.side), resample), (left, top))
            if index == self.current:
                box = (left, top, left + self.side - 1, top + self.side - 1)
                ImageDraw.Draw(page).rectangle(box, outline=OUTLINE, width=4)
        return page


def beside(images: dict[str, Image.Image]) -> Image.Image:
    """Images side by side, each below its name."""
    width = sum(image.width + GAP for image in images.values()) - GAP
    page = Image.new("RGB", (width, max(image.height for image in images.values()) + LINE + 2), STRIP)
    pen, left = ImageDraw.Draw(page), 0
    for name, image in images.items():
        pen.text((left + 4, 1), name, WORDS, ImageFont.load_default(LETTERS))
        page.paste(image, (left, LINE + 2))
        left += image.width + GAP
    return page


def file_name(record: Record) -> str:
    """What a file of a run is called, without its ending: the task, the class and the seed."""
    parts = ["synth", record.task, record.settings.get("class_name")]
    if "seed" in record.settings:
        parts.append(f"seed{record.settings['seed']}")
    return "-".join(re.sub(r"[^a-z0-9]+", "-", str(part).lower()).strip("-") for part in parts if part is not None)


@contextmanager
def image_files() -> Iterator:
    """Yields ``save(image, live)``, which writes a file of its own name in ``save.folder`` and returns its path.

    All go at the end.
    A ``live`` image is soon replaced, and may lose a little for speed; others are PNGs.
    Gradio would name it after its content, and rewrite the file while another visitor's browser is reading it.
    """
    with tempfile.TemporaryDirectory() as folder:

        def save(image: Image.Image, live: bool = False) -> str:
            path = f"{folder}/{uuid4().hex}.{'webp' if live else 'png'}"
            if live:
                image.save(path, quality=85, method=1)
            else:
                image.save(path, compress_level=3)
            return path

        vars(save)["folder"] = folder
        yield save


def new_file(folder: str, name: str) -> Path:
    """A path of that name in a new folder inside ``folder``, so that no other file has it."""
    path = Path(folder) / uuid4().hex / name
    path.parent.mkdir()
    return path


_SHARED = tempfile.TemporaryDirectory()
SHARED = _SHARED.name
"""A folder of files that stay while the app runs, for what every visitor sees."""


def shared_file(image: Image.Image, name: str = "picture") -> str:
    """The path of a file of ``image`` in the shared folder."""
    path = new_file(SHARED, f"{name}.webp")
    image.save(path, quality=92, method=2)
    return str(path)
