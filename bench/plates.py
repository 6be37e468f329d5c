"""The pictures of docs/: ``python -m bench.plates``. Random seeds without selection; robust models beside their twins.

It writes the inputs of the commands in docs/using.md (docs/inputs), runs those commands, and draws the sheets of each
family of checkpoints (docs/FAMILY). With ``--data``, sheets that start from real test pictures instead of generated
ones are written to ``--output``, to look at.
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

import synth
from synth import pictures
from synth.__main__ import main as run
from synth.examples import photograph_files, sketches
from synth.tasks.inpainting import random_square
from training.data import load
from training.sampling import balanced
from training.sheets import label_columns, label_rows

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FAMILIES = {
    "cifar10": {
        "robust": "cifar10-resnet18-slim-l2-dual",
        "standard": "cifar10-resnet18-slim-standard",
        "before": "cifar10-resnet18-slim-l2",
    },
    "imagenet20": {
        "robust": "imagenet20-resnet18-slim-l2-dual",
        "standard": "imagenet20-resnet18-slim-standard",
        "before": "imagenet20-resnet18-slim-l2",
    },
    "tiny64": {"robust": "tiny64-resnet18-slim-l2", "standard": "tiny64-resnet18-slim-standard"},
}
"""Checkpoints by their role on the sheets: the robust one, its standard twin, and its first stage if bundled."""
ACROSS = 10
"""The largest number of pictures per row; of those of more than 64 pixels, 6."""
BACKGROUND = "alp"
"""The class of the picture that features are painted into, if the checkpoint has it."""
TILE = 96
"""The least width of a picture on a sheet, in pixels."""


class Sheets:
    """The sheets of one family, written to ``output``, from its own samples or from the test pictures of ``data``."""

    def __init__(self, family: str, output: Path, data: str | None = None):
        models = {name: synth.load(checkpoint) for name, checkpoint in FAMILIES[family].items()}
        self.before = models.pop("before", None)
        self.models, self.robust = models, models["robust"]
        self.size = self.robust.image_size
        self.across = ACROSS if self.size <= 64 else 6
        self.classes = list(self.robust.pairs)[: self.across]
        self.data = load(data, "test", self.size) if data else None
        self.output = output
        self.output.mkdir(parents=True, exist_ok=True)

    def all(self) -> None:
        """Every sheet; with real pictures, those that start from one."""
        started = [self.inpainting, self.translation, self.super_resolution, self.painting, self.maximisation]
        for draw in started if self.data else [*started, self.sketch, self.generation, self.sizes, self.second_stage]:
            draw()

    def picture(self, name: str, count: int = 1) -> Tensor:
        """``count`` pictures of the class ``name``, (count, 3, S, S)."""
        if self.data is None:
            return synth.generation(self.robust, class_name=name, count=count, seed=0).pictures
        return balanced(self.data.subset(self.data.labels == self.data.classes.index(name)), count)[:][0]

    def save(self, name: str, rows: list[tuple[str, list[Tensor]]], heads: list[str] | None = None) -> None:
        """A sheet with a title left of each row."""
        tiles = torch.cat([one for _, row in rows for one in row])
        columns, zoom = len(tiles) // len(rows), -(-TILE // tiles.shape[-1])
        page = pictures.sheet(tiles, columns=columns, zoom=zoom)
        page = label_rows(label_columns(page, heads) if heads else page, [title for title, _ in rows], 150)
        page.save(self.output / f"{name}.webp", quality=75, method=6)

    def by_both(self, make: Callable[[synth.Classifier, str], Tensor], names: list[str]) -> list:
        return [(title, [make(model, name) for name in names]) for title, model in self.models.items()]

    def generation(self) -> None:
        """Three seeds per class, for the first class of each superclass; of large pictures, for ten classes."""
        names = [classes[0] for classes in self.robust.groups.values()] or self.robust.classes
        names = names if self.size <= 64 else list(self.robust.pairs)[:ACROSS]
        rows = [
            (title, [synth.generation(model, class_name=name, count=1, seed=seed).pictures for name in names])
            for title, model in self.models.items()
            for seed in (0, 1, 2)
        ]
        self.save("generation", rows, names)

    def sizes(self) -> None:
        """Pictures of the checkpoint's own size enlarged, and pictures generated at four times that size."""
        names = self.classes[:6]
        small, large = (
            [synth.generation(self.robust, class_name=n, count=1, seed=1, size=size).pictures for n in names]
            for size in ("1", "4")
        )
        enlarged = [F.interpolate(one, scale_factor=4, mode="bicubic").clamp(0, 1) for one in small]
        self.save("sizes", [("enlarged", enlarged), ("size 4", large)], names)

    def second_stage(self) -> None:
        """The same seeds before and after the second stage; of small pictures, far from the start, too."""
        if self.before is None:
            return
        far = {"start": "gaussian", "epsilon": 12, "steps": 60, "step_size": 0.2}
        plans = [("", {}, 7), (", far", far, 7)] if self.size <= 64 else [("", {}, seed) for seed in (7, 8, 9)]
        names = self.classes if self.size <= 64 else list(self.robust.pairs)[:ACROSS]
        rows = []
        for title, settings, seed in plans:
            for name, model in (("before", self.before), ("after", self.robust)):
                frames = [synth.generation(model, class_name=n, count=1, seed=seed, **settings) for n in names]
                rows.append((name + title, [frame.pictures for frame in frames]))
        self.save("second-stage", rows, names)

    def inpainting(self) -> None:
        masks = {n: random_square(self.size, torch.Generator().manual_seed(i)) for i, n in enumerate(self.classes)}
        truth = {name: self.picture(name) for name in self.classes}
        hidden = [torch.where(masks[name] > 0, 0.5, truth[name]) for name in self.classes]
        rows = self.by_both(
            lambda m, n: synth.inpainting(m, picture=truth[n][0], mask=masks[n][0], class_name=n).pictures, self.classes
        )
        self.save("inpainting", [("hidden", hidden), *rows, ("truth", list(truth.values()))], self.classes)

    def translation(self) -> None:
        """Pairs of classes: pictures of the one, and below them the results of both networks."""
        rows, pairs = [], list(self.robust.pairs.items())
        for source, target in pairs if self.size <= 64 else pairs[: self.across]:
            before = self.picture(source, self.across - 2)
            rows.append((source, [before]))
            for title, model in self.models.items():
                after = synth.translation(model, picture=before, class_name=target).pictures
                rows.append((f"{target}, {title}", [after]))
        self.save("translation", rows)

    def super_resolution(self) -> None:
        rows, truth = [], {name: self.picture(name) for name in self.classes}
        for factor in ("2", "4", "8"):
            small = [F.avg_pool2d(one, int(factor)) for one in truth.values()]
            rows.append((f"{self.size // int(factor)} pixels", [F.interpolate(one, self.size) for one in small]))
            plain = [F.interpolate(one, (self.size, self.size), mode="bicubic").clamp(0, 1) for one in small]
            rows.append((f"bicubic {factor}x", plain))
            images = [
                synth.super_resolution(self.robust, picture=one[0], class_name=name, factor=factor).pictures
                for name, one in truth.items()
            ]
            rows.append((f"ours {factor}x", images))
        self.save("super_resolution", [*rows, ("truth", list(truth.values()))], self.classes)

    def sketch(self) -> None:
        drawings = sketches(self.robust.classes)
        rows = [("sketch", [pictures.to_tensor(one, self.size) for one in drawings.values()])]
        rows += self.by_both(lambda m, n: synth.sketch(m, picture=drawings[n], class_name=n).pictures, list(drawings))
        self.save("sketch", rows, list(drawings))

    def painting(self) -> None:
        """The strongest feature of each class, painted into the right of one picture."""
        weight = self.robust.head.weight.detach()
        mask = Image.new("1", (self.size, self.size))
        ImageDraw.Draw(mask).rectangle((self.size * 9 // 16, 0, self.size, self.size), fill=1)
        wood = pictures.to_tensor(pictures.read(photograph_files()["wood"]), self.size)
        picture = self.picture(BACKGROUND) if BACKGROUND in self.robust.classes else wood
        features = {name: int(weight[self.robust.classes.index(name)].argmax()) for name in self.classes}
        images = [
            synth.painting(self.robust, picture=picture[0], mask=mask, feature=u).pictures for u in features.values()
        ]
        self.save("painting", [("picture", [picture] * len(images)), ("painted", images)], self.classes)

    def maximisation(self) -> None:
        """One picture pushed to each class."""
        picture = self.picture(self.classes[0])[0]
        rows = self.by_both(lambda m, n: synth.maximisation(m, picture=picture, class_name=n).pictures, self.classes)
        self.save("maximisation", rows, self.classes)


def networks(names: list[str], side: int, output: Path) -> None:
    """One seed of every class from several checkpoints of the same classes, at ``side`` pixels, with equal settings."""
    settings = dict(start="mixture", epsilon=30 * side / 112, steps=30, step_size=1.5 * side / 112, preset="paper")
    settings |= {"objective": "logit", "jitter": 2}
    titles, rows = [], []
    for name in names:
        model = synth.load(name)
        model.image_size = side
        frames = [synth.generation(model, class_name=one, count=1, seed=0, **settings) for one in model.classes]
        rows.append(torch.cat([frame.pictures for frame in frames]))
        titles += [model.architecture] + [""] * (-(-len(frames) // ACROSS) - 1)
    output.mkdir(parents=True, exist_ok=True)
    label_rows(pictures.sheet(torch.cat(rows), columns=ACROSS), titles, 200).save(output / "networks.webp", quality=75)


def classes(output: Path) -> None:
    """Thirty-two samples of each class of CIFAR-10."""
    output.mkdir(exist_ok=True)
    model = synth.load(FAMILIES["cifar10"]["robust"])
    for name in model.classes:
        samples = synth.generation(model, class_name=name, count=32, seed=0).pictures
        pictures.sheet(samples, zoom=2).save(output / f"{name}.webp", quality=75, method=6)


def inputs() -> None:
    """Masks that the commands in docs/using.md start from."""
    (DOCS / "inputs").mkdir(parents=True, exist_ok=True)
    for name, corners in {"mask-centre": (20, 20, 43, 43), "mask-right": (36, 0, 63, 63)}.items():
        mask = Image.new("1", (64, 64))
        ImageDraw.Draw(mask).rectangle(corners, fill=1)
        mask.save(DOCS / "inputs" / f"{name}.png")


def commands() -> list[list[str]]:
    """The arguments of the command of every task in docs/using.md."""
    lines = re.findall(r"^python -m synth (\w+ .*--output \S+)$", (DOCS / "using.md").read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines if "--like" not in line]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plates", description=__doc__.splitlines()[0])
    parser.add_argument("--family", choices=FAMILIES, help="only its sheets")
    parser.add_argument("--networks", nargs="+", metavar="CHECKPOINT", help="only a sheet of these, side by side")
    parser.add_argument("--side", type=int, default=112, help="of the pictures of --networks (default 112)")
    parser.add_argument("--data", help="folder or Hub data set, to start from its test pictures; needs --family")
    parser.add_argument("--output", type=Path, default=Path("plates"), help="folder for the sheets of --data")
    options = parser.parse_args()
    if options.networks:
        networks(options.networks, options.side, options.output)
        return
    if options.family:
        Sheets(options.family, options.output if options.data else DOCS / options.family, options.data).all()
        return
    inputs()
    for arguments in commands():
        arguments[-1] = str(DOCS / arguments[-1])
        if run(arguments):
            raise SystemExit(f"failed: {shlex.join(arguments)}")
    for family in FAMILIES:
        Sheets(family, DOCS / family).all()
    classes(DOCS / "cifar10" / "classes")


if __name__ == "__main__":
    main()
