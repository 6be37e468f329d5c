"""What the units of a checkpoint's representation look like, to choose one by eye (``training/units.py`` makes it)."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

SHEET, FACTS = "units.png", "units.json"


@dataclass(frozen=True)
class Feature:
    """One component of R(x): the picture that drives it up, the classes whose logits it raises, and how much."""

    index: int
    picture: Image.Image
    classes: dict[str, float]
    """Its share of weight for each class that it serves, the largest first."""
    lifts: float
    """How far it raises the logit of its first class when driven as in the picture."""

    @property
    def caption(self) -> str:
        return f"{self.index}: {', '.join(self.classes)}"


class FeatureGallery(list[Feature]):
    """The units of a checkpoint, those that raise a logit most first."""

    @classmethod
    def load(cls, folder: str | Path) -> FeatureGallery:
        """From the files beside a checkpoint's weights, none if there are no such files; ValueError if damaged."""
        folder = Path(folder)
        if not (folder / FACTS).exists() or not (folder / SHEET).exists():
            return cls()
        try:
            facts = json.loads((folder / FACTS).read_text())
            size, rows = facts["image_size"], facts["units"]
            with Image.open(folder / SHEET) as sheet:
                columns = sheet.width // size
                corners = [(i % columns * size, i // columns * size) for i in range(len(rows))]
                tiles = [sheet.crop((left, top, left + size, top + size)) for left, top in corners]
            found = zip(tiles, rows, strict=True)
            units = [Feature(i, tile, row["classes"], row["lifts"]) for i, (tile, row) in enumerate(found)]
        except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError) as error:
            raise ValueError(f"checkpoint: expected readable {SHEET} and {FACTS} in {folder}, got {error!r}") from None
        return cls(sorted(units, key=lambda unit: -unit.lifts))

    def search(self, text: str) -> FeatureGallery:
        """Those whose number is ``text``, or that serve a class whose name begins with it; all for an empty text."""
        text = text.strip().lower()
        if text.isdecimal():
            return FeatureGallery(unit for unit in self if unit.index == int(text))
        return FeatureGallery(
            unit for unit in self if not text or any(n.lower().startswith(text) for n in unit.classes)
        )


def save(folder: str | Path, pictures: list[Image.Image], rows: list[dict], made: dict) -> None:
    """Write one sheet of all pictures, at their own size, and the facts of each; ``made`` says how."""
    size, columns = pictures[0].width, math.ceil(math.sqrt(len(pictures)))
    sheet = Image.new("RGB", (columns * size, math.ceil(len(pictures) / columns) * size))
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (index % columns * size, index // columns * size))
    sheet.save(Path(folder) / SHEET)
    facts = {"image_size": size, "made": made, "units": rows}
    (Path(folder) / FACTS).write_text(json.dumps(facts, indent=0) + "\n")
