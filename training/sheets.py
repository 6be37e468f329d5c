"""Pictures of a checkpoint: ``python -m training.sheets CHECKPOINT`` writes samples.webp and examples/."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import synth
from synth import checkpoint, hub, pictures
from synth.classifier import Classifier

LETTERS = 100
"""The width of a wide page by the size of its letters, so that they can be read where the page is shown smaller."""


def sample_sheet(model: Classifier, **settings) -> Image.Image:
    """Random samples without selection: a row per class, its name on the left, and a column per seed (0, 1, 2, ...)."""
    columns, zoom = (10, 2) if model.image_size <= 32 else (6, 1)
    rows = [
        synth.generation(model, class_name=name, count=columns, seed=0, **settings).pictures for name in model.classes
    ]
    width = 84 if model.image_size <= 32 else 150
    return label_rows(pictures.sheet(torch.cat(rows), columns=columns, zoom=zoom), model.classes, width)


def label_rows(page: Image.Image, names: list[str], width: int = 84) -> Image.Image:
    """The page with a name left of each of its equally high rows."""
    wide = Image.new("RGB", (page.width + width, page.height), "white")
    wide.paste(page, (width, 0))
    draw = ImageDraw.Draw(wide)
    for index, name in enumerate(names):
        place = (4, (index + 0.5) * page.height / len(names))
        draw.text(place, name, fill="black", anchor="lm", font_size=max(13, page.width // LETTERS))
    return wide


def label_columns(page: Image.Image, names: list[str], height: int = 20) -> Image.Image:
    """The page with a name above each of its equally wide columns."""
    font_size = max(12, page.width // LETTERS)
    height = max(height, font_size * 3 // 2)
    tall = Image.new("RGB", (page.width, page.height + height), "white")
    tall.paste(page, (0, height))
    draw = ImageDraw.Draw(tall)
    for index, name in enumerate(names):
        place = ((index + 0.5) * page.width / len(names), height / 2)
        draw.text(place, name, fill="black", anchor="mm", font_size=font_size)
    return tall


def write(model: Classifier, folder: Path) -> None:
    """``samples.webp`` and, for the app and the README, ``examples/CLASS.png`` at the model's own size."""
    sample_sheet(model).save(folder / checkpoint.SAMPLES, quality=60, method=6)
    write_examples(model, folder, dict.fromkeys(model.classes, 0))


def write_examples(model: Classifier, folder: Path, seeds: dict[str, int]) -> None:
    """``examples/CLASS.png`` of the seed of each class in ``seeds``."""
    (folder / "examples").mkdir(exist_ok=True)
    for name, seed in seeds.items():
        frame = synth.generation(model, class_name=name, count=1, seed=seed)
        frame.save(folder / "examples" / f"{name}.png", zoom=1)


def chosen(words: list[str]) -> dict[str, int]:
    """{class: seed} of words like "church=4"; ValueError for others."""
    parts = [word.rpartition("=") for word in words]
    for word, (name, _, seed) in zip(words, parts, strict=True):
        if not name or not seed.isdecimal():
            raise ValueError(f"pick: expected CLASS=SEED, got {word!r}")
    return {name: int(seed) for name, _, seed in parts}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.sheets", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--pick", nargs="+", metavar="CLASS=SEED", help="make only these examples, chosen by looking")
    options = parser.parse_args(arguments)
    try:
        model = hub.load(options.checkpoint)
        if options.pick:
            write_examples(model, model.folder, chosen(options.pick))
        else:
            write(model, model.folder)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
