"""The stored pictures of the app: ``python -m bench.cards``. What a first click in each tab gives, and the cards.

It runs every task of the bundled checkpoints of OPENED at the settings and with the example that its tab begins with,
and the cards, which are chosen by hand, and writes synth/web/stored: WebP files, and an index of them in JSON. Of those
of the checkpoint that the app opens with it makes the README's plate, docs/tasks.webp. Names of stored results after
the command make these alone again.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from PIL import Image
from torchvision.transforms.functional import to_tensor

import synth
from synth import TASKS, Classifier, Task, pictures
from synth.examples.shelf import first_example, needs_class, target_class
from synth.parameters import Picture
from synth.web import stored
from synth.web.controls import controls_at
from synth.web.editor import extent, shrink
from synth.web.examples import example
from synth.web.run import Run
from synth.web.running import row_names
from training.sheets import label_columns

LARGE, SMALL, ORDINARY = (
    "imagenet20-resnet18-slim-l2-dual",
    "tiny64-resnet18-slim-l2",
    "imagenet20-resnet18-slim-standard",
)
OPENED = (LARGE, SMALL, "cifar10-resnet18-slim-l2-dual", "cifar10-resnet18-slim-l2")
"""Checkpoints whose tabs begin with a stored result."""
CARDS = {
    f"{LARGE}-generation": "Pictures from nothing",
    f"{LARGE}-style_transfer": "Redraw it in another style",
    f"{LARGE}-sketch": "Turn a sketch into a picture",
    f"{LARGE}-translation": "Turn a wood into a church",
    f"{LARGE}-painting": "Paint what it looks for",
    f"{LARGE}-inpainting": "Fill a hole",
    f"{LARGE}-denoising": "Clean a noisy picture",
    f"{LARGE}-anomaly_detection": "Find what does not belong",
    f"{LARGE}-interpolation": "Blend two animals",
    f"{LARGE}-ordinary": "Robust beside ordinary",
}
"""Titles of the cards, in order, by the name of the stored result."""
MORE: dict[str, dict] = {
    f"{LARGE}-ordinary": {
        "checkpoint": LARGE,
        "task": "generation",
        "examples": {},
        "settings": {"class_name": "church", "count": 1, "seed": 1},
        "compare": ORDINARY,
    },
}
"""Results that are no tab's first click: the checkpoint and task, and what differs from its first click."""
PLATE = Path(__file__).resolve().parent.parent / "docs" / "tasks.webp"
PLATED = {name: title for name, title in CARDS.items() if not name.endswith("-ordinary")} | {
    f"{LARGE}-super_resolution": "Enlarge a small picture"
}
"""Titles on the plate, by the name of the stored result."""
ACROSS = 5
"""Cards in a row of the plate."""


def make(name: str, task: Task, model: Classifier, examples: dict, settings: dict, compare: str = "") -> dict:
    """Run it, write its picture, and return its row of the index."""
    pictured = [key for key, kind in task.parameters.items() if isinstance(kind, Picture)]
    shown = {key: examples.get(key, first_example(task, model, key)) for key in pictured}
    values = first_click(task, model) | settings
    values |= {key: shrink(example(task, model, key, one)) for key, one in shown.items()}
    frame = task(model, **values)
    other = task(synth.load(compare), **values) if compare else None
    run = Run(frame, row_names(frame, model), other=other)
    return stored.write(stored.FOLDER, run, name=name, examples=shown, title=CARDS.get(name, ""))


def first_click(task: Task, model: Classifier) -> dict:
    """The settings that the task's tab begins with, without pictures."""
    names = [name for name, kind in task.parameters.items() if name != "mask" and not isinstance(kind, Picture)]
    chosen = {}
    if "picture" in task.parameters and needs_class(task, model):
        chosen["class_name"] = target_class(task, model, first_example(task, model))
    parts = controls_at(task, names, model, **chosen)
    values = {name: None if part.value == "" else part.value for name, part in zip(names, parts, strict=True)}
    if "picture" not in task.parameters or "mask" in task.parameters:
        return values
    return values | extent(task, example(task, model, "picture", first_example(task, model)))


def plate() -> Image.Image:
    """Before and after of the stored results in PLATED, with a title above each."""
    known, names, rows = stored.index(), list(PLATED), []
    for begin in range(0, len(names), ACROSS):
        part = names[begin : begin + ACROSS]
        cards = torch.stack([to_tensor(known[name].card()) for name in part])
        rows.append(to_tensor(label_columns(pictures.sheet(cards, columns=ACROSS), [PLATED[name] for name in part])))
    return pictures.to_images(torch.cat(rows, 1)[None])[0]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cards", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="stored results to make again (default: all)")
    options = parser.parse_args()
    stored.FOLDER.mkdir(exist_ok=True)
    path = stored.FOLDER / "index.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    plan = {}
    for checkpoint in OPENED:
        model = synth.load(checkpoint)
        for task in TASKS.values():
            if task.supports(model):
                first = {"checkpoint": checkpoint, "task": task.name, "examples": {}, "settings": {}}
                plan[f"{checkpoint}-{task.name}"] = first
    plan |= MORE
    rows = {}
    for name in sorted(plan, key=lambda name: list(CARDS).index(name) if name in CARDS else len(CARDS)):
        if name in before and options.names and name not in options.names:
            rows[name] = before[name] | {"title": CARDS.get(name, "")}
            continue
        row = plan[name]
        model = synth.load(row["checkpoint"])
        rows[name] = make(name, TASKS[row["task"]], model, row["examples"], row["settings"], row.get("compare", ""))
        print(f"{name}: {rows[name]['seen']}", file=sys.stderr)
        path.write_text(json.dumps(rows, indent=1) + "\n")
    path.write_text(json.dumps(rows, indent=1) + "\n")
    plate().save(PLATE, quality=80, method=6)


if __name__ == "__main__":
    main()
