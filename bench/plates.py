"""The pictures of docs/: ``python -m bench.plates``. Random seeds, none chosen; robust checkpoints beside their twins.

For the default checkpoint it writes the inputs of the README's commands (docs/inputs), runs those commands, and draws
the comparison sheets; those of the 64-pixel checkpoint go to docs/tiny64. With ``--data``, sheets of the latter that
start from real test pictures instead of generated ones, written to ``--output`` to look at.
"""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from torch import Tensor

import synth
from synth import hub, pictures
from synth.__main__ import main as run
from synth.examples import sketches
from synth.tasks.inpainting import random_square
from training.data import load
from training.restoration import several
from training.samples import balanced
from training.sheets import headed, labelled

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ROBUST, STANDARD = hub.DEFAULT, "cifar10-resnet18-slim-standard"
FIRST_STAGE = "cifar10-resnet18-slim-l2"
ROBUST64, STANDARD64 = hub.SECOND[0], "tiny64-resnet18-slim-standard"
ZOOM = 3
ACROSS = 8
"""Pictures a row on sheets of 64 pixels."""


def inputs() -> None:
    """Masks and sketches that the README's commands start from."""
    (DOCS / "inputs").mkdir(parents=True, exist_ok=True)
    for name, sketch in sketches(hub.load(ROBUST).classes).items():
        sketch.save(DOCS / "inputs" / f"sketch-{name}.png")
    for name, corners in {"mask-centre": (10, 10, 21, 21), "mask-right": (18, 0, 31, 31)}.items():
        mask = Image.new("1", (32, 32))
        ImageDraw.Draw(mask).rectangle(corners, fill=1)
        mask.save(DOCS / "inputs" / f"{name}.png")


def commands() -> list[list[str]]:
    """The arguments of every ``python -m synth TASK`` command in the README."""
    lines = re.findall(r"^python -m synth (\w+ .*--output \S+)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def example(name: str) -> Image.Image:
    return Image.open(hub.folder(ROBUST) / "examples" / f"{name}.png").convert("RGB")


def cases(model: synth.RobustClassifier) -> dict[str, list[tuple[Tensor, dict]]]:
    """For every task that starts from a picture: what to show as its input, and its settings, a case a class."""
    drawn = sketches(model.classes)

    def shown(image: Image.Image, size: int = 32) -> Tensor:
        return pictures.to_tensor(image, size)

    found: dict[str, list] = {"inpainting": [], "translation": [], "super_resolution": [], "sketch": []}
    for index, name in enumerate(model.classes):
        picture = example(name)
        mask = synth.tasks.inpainting.random_square(32, torch.Generator().manual_seed(index))
        hidden = torch.where(mask > 0, 0.5, shown(picture))
        task = {"picture": picture, "class_name": name}
        found["inpainting"].append((hidden, task | {"mask": mask[0]}))
        found["translation"].append((shown(picture), {"picture": picture, "class_name": model.pairs[name]}))
        small = shown(picture, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
        found["super_resolution"].append((small, task | {"factor": "4"}))
    for name, sketch in drawn.items():
        found["sketch"].append((shown(sketch), {"picture": sketch, "class_name": name}))
    return found


def task_sheet(name: str, made: list[tuple[Tensor, dict]], models: dict[str, synth.RobustClassifier]) -> None:
    """docs/NAME.png: the inputs, then a row a checkpoint."""
    task = synth.TASKS[name]
    rows = [torch.cat([shown for shown, _ in made])]
    rows += [torch.cat([task(model, **settings).pictures for _, settings in made]) for model in models.values()]
    page = pictures.sheet(torch.cat(rows), columns=len(made), zoom=ZOOM)
    labelled(headed(page, [settings["class_name"] for _, settings in made]), ["input", *models]).save(
        DOCS / f"{name}.png"
    )


def painting_sheet(model: synth.RobustClassifier, units: int = 10) -> None:
    """docs/painting.png: the strongest unit of each class, painted into the right of one picture."""
    weight = model.head.weight.detach()
    chosen = [int(weight[index].argmax()) for index in range(min(units, len(weight)))]
    picture, mask = example("deer"), Image.open(DOCS / "inputs" / "mask-right.png")
    made = [synth.painting(model, picture=picture, mask=mask, unit=unit).pictures for unit in chosen]
    page = pictures.sheet(torch.cat([pictures.to_tensor(picture, 32), *made]), columns=len(made) + 1, zoom=ZOOM)
    headed(page, ["input", *(f"unit {unit}" for unit in chosen)]).save(DOCS / "painting.png")


def maximisation_sheet(models: dict[str, synth.RobustClassifier]) -> None:
    """docs/maximisation.png: one picture pushed to every class, robust above standard."""
    rows = [synth.maximisation(model, picture=example("horse")).pictures for model in models.values()]
    first = next(iter(models.values()))
    page = pictures.sheet(torch.cat(rows), columns=len(first.classes), zoom=ZOOM)
    labelled(headed(page, first.classes), list(models)).save(DOCS / "maximisation.png")


def generation_sheets(models: dict[str, synth.RobustClassifier]) -> None:
    """docs/generation.png: a column a class, robust above standard; docs/classes/: 32 samples of each class."""
    rows, robust = [], models["robust"]
    for model in models.values():
        rows += [synth.generation(model, count=len(model.classes), seed=seed).pictures for seed in (0, 100)]
    page = pictures.sheet(torch.cat(rows), columns=len(robust.classes), zoom=ZOOM)
    labelled(headed(page, robust.classes), [name for name in models for _ in range(2)]).save(DOCS / "generation.png")
    (DOCS / "classes").mkdir(exist_ok=True)
    for name in robust.classes:
        synth.generation(robust, class_name=name, count=32).save(DOCS / "classes" / f"{name}.png", zoom=2)


def second_stage_sheet(models: dict[str, synth.RobustClassifier]) -> None:
    """docs/second-stage.png: a column a class, the same seeds before and after the second stage."""
    rows = [
        synth.generation(model, count=len(model.classes), seed=seed, **settings).pictures
        for settings in ({}, {"start": "gaussian", "epsilon": 12, "steps": 60, "step_size": 0.2})
        for model in models.values()
        for seed in (0, 100)
    ]
    first = next(iter(models.values()))
    page = pictures.sheet(torch.cat(rows), columns=len(first.classes), zoom=ZOOM)
    names = [f"{name}{far}" for far in ("", ", far") for name in models for _ in range(2)]
    labelled(headed(page, first.classes), names).save(DOCS / "second-stage.png")


def sizes_sheet(model: synth.RobustClassifier) -> None:
    """docs/sizes.png: a column a class, pictures of the checkpoint's own size enlarged, and made at four times it."""
    made = [synth.generation(model, count=len(model.classes), seed=1, size=size).pictures for size in ("1", "4")]
    rows = torch.cat([F.interpolate(made[0], scale_factor=4, mode="bicubic").clamp(0, 1), made[1]])
    page = pictures.sheet(rows, columns=len(model.classes))
    labelled(headed(page, model.classes), ["bicubic", "size 4"]).save(DOCS / "sizes.png")


def overview(model: synth.RobustClassifier) -> None:
    """docs/tasks.png: before and after, a pair a task."""
    made = cases(model)
    pairs = {}
    for name, index in {"inpainting": 1, "translation": 7, "super_resolution": 9, "sketch": 0}.items():
        shown, settings = made[name][index]
        pairs[synth.TASKS[name].title] = torch.cat([shown, synth.TASKS[name](model, **settings).pictures])
    generated = synth.generation(model, class_name="horse", count=1, seed=1)
    pairs = {"Generate": torch.cat([generated.start, generated.pictures])} | pairs
    pushed = synth.maximisation(model, picture=example("cat"), class_name="ship")
    pairs["Maximise"] = torch.cat([pushed.start, pushed.pictures])
    unit = int(model.head.weight.detach()[model.classes.index("horse")].argmax())
    mask = Image.open(DOCS / "inputs" / "mask-right.png")
    painted = synth.painting(model, picture=example("deer"), mask=mask, unit=unit)
    pairs["Paint"] = torch.cat([painted.start, painted.pictures])
    rows = torch.cat([pair[row : row + 1] for row in range(2) for pair in pairs.values()])
    headed(pictures.sheet(rows, columns=len(pairs), zoom=4), list(pairs)).save(DOCS / "tasks.png")


class Sheets64:
    """The sheets of the 64-pixel checkpoint and its twin, from its own samples or from real pictures."""

    def __init__(self, output: Path, data: str | None = None):
        self.output = output
        self.output.mkdir(parents=True, exist_ok=True)
        self.models = {"robust": synth.load(ROBUST64), "standard": synth.load(STANDARD64)}
        self.robust = self.models["robust"]
        self.data = load(data, "test", self.robust.image_size) if data else None

    def originals(self, name: str, count: int) -> Tensor:
        """Random pictures of a class, (count, 3, S, S)."""
        if self.data is None:
            return synth.generation(self.robust, class_name=name, count=count).pictures
        return balanced(self.data.subset(self.data.labels == self.data.classes.index(name)), count)[:][0]

    def shown(self) -> list[tuple[str, Tensor]]:
        """A picture of each of a few classes."""
        return [(name, self.originals(name, 1)) for name in list(self.robust.pairs)[:ACROSS]]

    def save(self, name: str, rows: list[Tensor], labels: list[str], heads: list[str] | None = None) -> None:
        page = pictures.sheet(torch.cat(rows), columns=len(rows[0]), zoom=1 if len(rows) > 8 else 2)
        page = headed(page, heads) if heads else page
        labelled(page, labels, 150).save(self.output / f"{name}.png", optimize=True)

    def translation(self) -> None:
        """Every pair: pictures of one class, and below what robust and standard make of them."""
        rows, labels = [], []
        for source, target in self.robust.pairs.items():
            before = self.originals(source, ACROSS)
            task = several(synth.TASKS["translation"])
            rows += [before, *(task(m, picture=before, class_name=target).pictures for m in self.models.values())]
            labels += [source, f"{target}, robust", f"{target}, standard"]
        self.save("translation", rows, labels)

    def super_resolution(self) -> None:
        rows, labels, size = [], [], self.robust.image_size
        for factor in ("2", "4", "8"):
            small = [F.avg_pool2d(picture, int(factor)) for _, picture in self.shown()]
            plain = [F.interpolate(one, (size, size), mode="bicubic").clamp(0, 1) for one in small]
            blocks = [F.interpolate(one, (size, size)) for one in small]
            task = synth.TASKS["super_resolution"]
            ours = [task(self.robust, picture=p[0], class_name=n, factor=factor).pictures for n, p in self.shown()]
            rows += [torch.cat(blocks), torch.cat(plain), torch.cat(ours)]
            labels += [f"{size // int(factor)} pixels", "bicubic", f"{factor}x"]
        self.save("super_resolution", rows, labels, [name for name, _ in self.shown()])

    def inpainting(self) -> None:
        hidden, filled = [], {name: [] for name in self.models}
        for index, (name, picture) in enumerate(self.shown()):
            square = random_square(self.robust.image_size, torch.Generator().manual_seed(index))
            hidden.append(torch.where(square > 0, 0.5, picture))
            for key, model in self.models.items():
                made = synth.inpainting(model, picture=picture[0], mask=square[0], class_name=name)
                filled[key].append(made.pictures)
        truth = torch.cat([picture for _, picture in self.shown()])
        rows = [torch.cat(hidden), *(torch.cat(some) for some in filled.values()), truth]
        self.save("inpainting", rows, ["hidden", *self.models, "truth"], [name for name, _ in self.shown()])

    def sketch(self) -> None:
        drawn = sketches(self.robust.classes)
        rows = [torch.cat([pictures.to_tensor(one, self.robust.image_size) for one in drawn.values()])]
        for model in self.models.values():
            rows.append(torch.cat([synth.sketch(model, picture=p, class_name=n).pictures for n, p in drawn.items()]))
        self.save("sketch", rows, ["sketch", *self.models], list(drawn))

    def painting(self) -> None:
        """The strongest unit of some classes, painted into the right half of a picture of the first."""
        weight, size = self.robust.head.weight.detach(), self.robust.image_size
        mask = Image.new("1", (size, size))
        ImageDraw.Draw(mask).rectangle((size // 2 + 4, 0, size, size), fill=1)
        names, picture = list(self.robust.pairs)[1 : ACROSS + 1], self.originals("alp", 1)
        made = [
            synth.painting(self.robust, picture=picture[0], mask=mask, unit=int(weight[at].argmax())).pictures
            for at in map(self.robust.classes.index, names)
        ]
        self.save("painting", [picture.expand(len(made), -1, -1, -1), torch.cat(made)], ["picture", "painted"], names)

    def generation(self) -> None:
        """A class of each superclass, three seeds, robust above standard; and six of them at four times the size."""
        names = [classes[0] for classes in self.robust.groups.values()]
        rows = [
            torch.cat([synth.generation(model, class_name=name, count=1, seed=seed).pictures for name in names])
            for model in self.models.values()
            for seed in (0, 1, 2)
        ]
        self.save("generation", rows, [name for name in self.models for _ in range(3)], names)
        large = [
            synth.generation(self.robust, class_name=name, count=1, seed=1, size="4").pictures for name in names[:6]
        ]
        headed(pictures.sheet(torch.cat(large), columns=6), names[:6]).save(self.output / "sizes.png", optimize=True)

    def all(self) -> None:
        for draw in (self.translation, self.super_resolution, self.inpainting, self.painting):
            draw()
        if self.data is None:
            self.generation()
            self.sketch()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plates", description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder or Hub data set: real test pictures for the 64-pixel sheets, only these")
    parser.add_argument("--output", type=Path, default=Path("plates"), help="folder for sheets of --data")
    parser.add_argument("--only", choices=("default", "tiny64"), help="the sheets of one checkpoint")
    options = parser.parse_args()
    if options.data:
        Sheets64(options.output, options.data).all()
        return
    if options.only != "default":
        Sheets64(DOCS / "tiny64").all()
    if options.only == "tiny64":
        return
    models = {"robust": synth.load(ROBUST), "standard": synth.load(STANDARD)}
    inputs()
    for arguments in commands():
        arguments[-1] = str(DOCS / arguments[-1])
        if run(arguments):
            raise SystemExit(f"failed: {shlex.join(arguments)}")
    generation_sheets(models)
    for name, made in cases(models["robust"]).items():
        task_sheet(name, made, models)
    painting_sheet(models["robust"])
    maximisation_sheet(models)
    overview(models["robust"])
    sizes_sheet(models["robust"])
    second_stage_sheet({"before": synth.load(FIRST_STAGE), "after": models["robust"]})


if __name__ == "__main__":
    main()
