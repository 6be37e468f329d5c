"""Stored results: what a first click in each tab gives, and the cards above the tabs (``python -m bench.cards``)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from PIL import Image, ImageOps

from synth import TASKS, Frame, checkpoint, downloads, hub, pictures
from synth.integrity import Seal
from synth.parameters import Mask, Picture, sentence
from synth.record import Record
from synth.web.checkpoints import load
from synth.web.editor import shrink
from synth.web.examples import example
from synth.web.run import Run
from synth.web.seen import what_is_seen

FOLDER = Path(__file__).parent / "stored"
"""Pictures, and an index of them in JSON."""
HALF, QUALITY = 160, 88
"""The side of each half of a card, and the quality of the stored files."""


@dataclass(frozen=True)
class Stored:
    """A result by ``python -m bench.cards``: its settings, without pictures, and what was said of it.

    examples: the names of the examples that its pictures are, by parameter; compare: the second checkpoint, if any;
    weights: the checksum of the weights that made it, by checkpoint; title: of its card, "" for none; rows, captions,
    note: as for a run; seen: a sentence on what the model sees in it.
    """

    name: str
    task: str
    checkpoint: str
    settings: dict
    examples: dict
    count: int
    rows: list
    captions: list
    seen: str
    weights: dict
    note: str = ""
    compare: str = ""
    title: str = ""

    @property
    def words(self) -> str:
        """The status beside it."""
        said = ["Made earlier.", self.note, self.seen, "Press Run to make it anew."]
        return " ".join(filter(None, said))

    def record(self) -> Record:
        """Its settings, with the pictures as a run would keep them."""
        model, task = load(self.checkpoint), TASKS[self.task]
        images = {name: shrink(example(task, model, name, shown)) for name, shown in self.examples.items()}
        checked = task.check(model, **self.settings | images)
        kept = self.settings | {name: checked[name] for name in images}
        return Record(self.task, self.checkpoint, kept, compare=self.compare)

    def run(self) -> Run:
        """As if it had just been made, but for its steps."""
        return _run(FOLDER, self.name)

    def card(self) -> Image.Image:
        """What it came from beside it, or the first of several; of a walk the first and the middle."""
        run = self.run()
        task = TASKS[self.task]
        parts = [task.shown_start(run.frame)[:1], run.frame.pictures[:1]]
        if run.other is None and "picture" not in task.parameters:
            parts = [run.frame.pictures[:1], run.frame.pictures[1:2]]
        if run.walk:
            parts = [run.frame.pictures[:1], run.frame.pictures[run.walk.current :][:1]]
        if run.other is not None:
            parts = [run.frame.pictures[:1], run.other.pictures[:1]]
        page = Image.new("RGB", (2 * HALF, HALF), "white")
        for index, part in enumerate(parts):
            image = ImageOps.fit(pictures.to_images(part)[0], (HALF, HALF), Image.Resampling.BICUBIC)
            page.paste(image, (index * HALF, 0))
        return page


def index() -> dict[str, Stored]:
    """All of them by name, without those of checkpoints that are not here, or whose weights are others by now.

    A checkpoint of the Hub is here if the page offers it and the cache has it; the results then name its repository.
    """
    known = {}
    for name in [*hub.listed(), *hub.bundled()]:
        folder = hub.BUNDLED / name if name in hub.bundled() else downloads.cached(name, None)
        if folder is not None:
            known[name.rsplit("/", 1)[-1]] = name, weights_checksum(folder)
    return _index(FOLDER, tuple(known.items()))


@lru_cache(maxsize=4)
def _index(folder: Path, known: tuple) -> dict[str, Stored]:
    names = {name: full for name, (full, _) in known} | {"": ""}
    checksums = {name: checksum for name, (_, checksum) in known}
    try:
        rows = json.loads((folder / "index.json").read_text())
    except OSError:
        return {}
    return {
        name: Stored(name, **row | {key: names[row[key]] for key in ("checkpoint", "compare")})
        for name, row in rows.items()
        if row["weights"].items() <= checksums.items()
    }


def weights_checksum(folder: Path) -> str:
    """What the seal in ``folder`` says of the weights, "" if there is none: it tells checkpoints of one name apart."""
    try:
        return Seal.read(folder / checkpoint.SEAL).sha256[checkpoint.WEIGHTS]
    except (ValueError, KeyError):
        return ""


def stored(task: str, name: str) -> Stored | None:
    """What a first click in the tab of ``task`` gives with the checkpoint called ``name``, if it is stored."""
    one = index().get(f"{name.rsplit('/', 1)[-1]}-{task}")
    return one if one is not None and one.checkpoint == name else None


def cards() -> list[Stored]:
    """Those that are shown above the tabs."""
    return [one for one in index().values() if one.title]


def write(folder: Path, run: Run, **row) -> dict:
    """Write the picture of a stored result, ``folder``/NAME.webp, and return its row of the index, ``row`` and more."""
    parts = [run.frame.pictures, run.frame.start, *([run.other.pictures] if run.other is not None else [])]
    page = pictures.sheet(torch.cat([part.cpu() for part in parts]), columns=len(run.frame.pictures), gap=0)
    record, kinds = run.frame.record, TASKS[run.frame.record.task].parameters
    settings = {n: v for n, v in record.settings.items() if not isinstance(kinds[n], (Picture, Mask))}
    page.save(folder / f"{row.pop('name')}.webp", quality=QUALITY, method=6)
    kept = {
        "task": record.task,
        "checkpoint": record.checkpoint,
        "settings": settings,
        "count": len(run.frame.pictures),
    }
    compare = run.other.record.checkpoint if run.other is not None else ""
    made_by = filter(None, (record.checkpoint, compare))
    note = f"{sentence(run.frame.note)}." if run.frame.note else ""
    said = {
        "rows": run.rows,
        "captions": run.frame.captions,
        "note": note,
        "seen": what_is_seen(run),
        "compare": compare,
        "weights": {name: weights_checksum(hub.BUNDLED / name) for name in made_by},
    }
    return kept | said | row


@lru_cache(maxsize=64)
def _run(folder: Path, name: str) -> Run:
    one = index()[name]
    with Image.open(folder / f"{name}.webp") as page:
        width, height = page.width // one.count, page.height // (3 if one.compare else 2)
        tiles = torch.cat([
            pictures.to_tensor(page.convert("RGB").crop((x, y, x + width, y + height)), 0)
            for y in range(0, page.height, height) for x in range(0, page.width, width)
        ])  # fmt: skip
    made, start, *others = tiles.split(one.count)
    loss, record, captions = torch.zeros(one.count), one.record(), tuple(one.captions)
    frame = Frame(1, 1, made, loss, start, record, captions)
    other = replace(frame, pictures=others[0], record=replace(record, checkpoint=one.compare)) if others else None
    return Run(frame, tuple(one.rows), other=other)
