"""Pictures of a checkpoint: ``python -m training.sheets CHECKPOINT`` writes samples.webp and examples/."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw

import synth
from synth import checkpoint, hub, pictures
from synth.classifier import Classifier
from training.judge import outputs
from training.sampling import to_bytes

TRIED = 8
"""Seeds of which a judge chooses an example."""


def sample_sheet(model: Classifier, **settings) -> Image.Image:
    """Random samples without selection: a row per class, its name on the left, and a column per seed (0, 1, 2, ...)."""
    columns, zoom = (10, 2) if model.image_size <= 32 else (6, 1)
    rows = [synth.generation(model, class_name=name, count=columns, **settings).pictures for name in model.classes]
    width = 84 if model.image_size <= 32 else 150
    return label_rows(pictures.sheet(torch.cat(rows), columns=columns, zoom=zoom), model.classes, width)


def label_rows(page: Image.Image, names: list[str], width: int = 84) -> Image.Image:
    """The page with a name left of each of its equally high rows."""
    wide = Image.new("RGB", (page.width + width, page.height), "white")
    wide.paste(page, (width, 0))
    draw = ImageDraw.Draw(wide)
    for index, name in enumerate(names):
        draw.text((4, (index + 0.5) * page.height / len(names)), name, fill="black", anchor="lm", font_size=13)
    return wide


def label_columns(page: Image.Image, names: list[str], height: int = 20) -> Image.Image:
    """The page with a name above each of its equally wide columns."""
    tall = Image.new("RGB", (page.width, page.height + height), "white")
    tall.paste(page, (0, height))
    draw = ImageDraw.Draw(tall)
    for index, name in enumerate(names):
        draw.text(((index + 0.5) * page.width / len(names), height / 2), name, fill="black", anchor="mm", font_size=12)
    return tall


def write(model: Classifier, folder: Path, judge: Classifier | None = None) -> None:
    """``samples.webp`` and, for the app and the README, ``examples/CLASS.png`` at the model's own size.

    An example has the seed 0, or the one of the first TRIED of which the ``judge`` of the same classes is surest.
    """
    sample_sheet(model).save(folder / checkpoint.SAMPLES, quality=60, method=6)
    (folder / "examples").mkdir(exist_ok=True)
    for name in model.classes:
        seed = 0 if judge is None else clearest(model, name, judge)
        frame = synth.generation(model, class_name=name, count=1, seed=seed)
        frame.save(folder / "examples" / f"{name}.png", zoom=1)


def clearest(model: Classifier, name: str, judge: Classifier) -> int:
    """Of the first TRIED seeds, that of the picture of ``name`` that the ``judge`` is surest of."""
    if judge.classes != model.classes:
        raise ValueError(f"judge: expected one of the classes of {model.name}, got {judge.name}")
    tried = synth.generation(model, class_name=name, count=TRIED, seed=0).pictures
    _, logits = outputs(judge, to_bytes(tried))
    return int(logits.log_softmax(1)[:, model.classes.index(name)].argmax())


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.sheets", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--judge", help=f"checkpoint that chooses each example among {TRIED} (default: the first)")
    options = parser.parse_args(arguments)
    try:
        model = hub.load(options.checkpoint)
        write(model, model.folder, hub.load(options.judge) if options.judge else None)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
