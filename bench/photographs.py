"""Whole photographs: a hole filled, the whole cleaned of noise and redrawn, and a part of one enlarged four times.

``python -m bench.photographs PHOTO`` writes the sheets of README.md and docs/evidence.md. Theirs is the raccoon of
scipy.datasets.face, which is in the public domain.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from PIL import Image, ImageDraw

import synth
from synth.examples import styles
from synth.pictures import read

OUTPUT = Path(__file__).resolve().parent.parent / "docs" / "photographs"
WIDTH = 1024
"""Of the photograph as it is worked on."""
HOLE = (0.52, 0.62, 0.6, 0.72)
"""Left, top, right and bottom of what is removed, as parts of the width and height."""
DETAIL = (0.45, 0.15, 0.9, 0.65)
"""The part that is shown of the enlargement."""
FACTOR = 4


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path)
    parser.add_argument("--checkpoint", default="imagenet20-resnet18-slim-l2", help="for the hole and the enlargement")
    parser.add_argument("--decoding", default="tiny64-resnet18-slim-l2", help="a checkpoint with a decoder")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    photo = read(str(options.photo), "photo")
    photo = photo.resize((WIDTH, round(WIDTH * photo.height / photo.width)), Image.Resampling.LANCZOS)
    options.output.mkdir(parents=True, exist_ok=True)
    for make in (filled, enlarged, redrawn):
        start = time.perf_counter()
        model = synth.load(options.decoding if make is redrawn else options.checkpoint)
        beside(make(model, photo)).save(path := options.output / f"{make.__name__}.webp", quality=80, method=6)
        print(f"{path}: {time.perf_counter() - start:.0f} s", flush=True)


def filled(model, photo: Image.Image) -> list[Image.Image]:
    """The photograph with a hole, and without it."""
    mask = Image.new("L", photo.size)
    ImageDraw.Draw(mask).ellipse(scaled(HOLE, photo), fill=255)
    hidden = photo.copy()
    hidden.paste("grey", mask=mask)
    frame = synth.inpainting(model, picture=photo, mask=mask, extent="whole", preset="remove things")
    return [hidden, *frame.images]


def enlarged(model, photo: Image.Image) -> list[Image.Image]:
    """A part of the photograph at a quarter of its size, enlarged by interpolation, by the task, and as it was."""
    square = [side - side % FACTOR for side in photo.size]
    truth = photo.crop((0, 0, *square))
    small = truth.resize([side // FACTOR for side in square], Image.Resampling.BOX)
    frame = synth.super_resolution(model, picture=small, factor=FACTOR, extent="whole")
    shown = [small.resize(truth.size, Image.Resampling.BICUBIC), *frame.images, truth]
    return [image.crop(scaled(DETAIL, truth)) for image in shown]


def redrawn(model, photo: Image.Image) -> list[Image.Image]:
    """The photograph with noise, cleaned, and in another style."""
    clean = synth.denoising(model, picture=photo, sigma=25, extent="whole")
    style = synth.style_transfer(model, picture=photo, style=list(styles().values())[-1], extent="whole")
    return [synth.pictures.to_images(clean.start)[0], *clean.images, *style.images]


def scaled(box: tuple[float, ...], image: Image.Image) -> tuple[int, ...]:
    return tuple(round(part * side) for part, side in zip(box, image.size * 2, strict=True))


def beside(images: list[Image.Image], gap: int = 6) -> Image.Image:
    """The images in one row, at most as wide as two of the photograph."""
    width, height = images[0].size
    page = Image.new("RGB", (len(images) * (width + gap) - gap, height), "white")
    for index, image in enumerate(images):
        page.paste(image, (index * (width + gap), 0))
    page.thumbnail((2 * WIDTH, 2 * WIDTH), Image.Resampling.LANCZOS)
    return page


if __name__ == "__main__":
    main()
