"""What the features of a classifier's representation look like, to choose one by eye (``training.features``)."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from synth.pictures import LARGEST
from synth.sizes import FEATURES, SIDE, check_numbers, check_table, check_whole, read_json

SHOWN = 112
"""The largest side of a picture on the sheet, in pixels."""


@dataclass(frozen=True)
class Feature:
    """One component of R(x): the picture that drives it up, the classes whose logits it raises, and how much."""

    index: int
    picture: Image.Image
    classes: dict[str, float]
    """Its share of weight for each class that it serves, the largest first."""
    lifts: float
    """How far it raises the logit of its first class when driven as in the picture."""
    activation: float = 0
    """Its value in the picture."""

    @property
    def caption(self) -> str:
        return f"{self.index}: {', '.join(self.classes)}"


class FeatureGallery(list[Feature]):
    """The features of a checkpoint, those that raise a logit most first."""

    def __init__(self, features: Iterable[Feature] = (), settings: dict | None = None):
        """settings: those of the pictures' synthesis."""
        super().__init__(sorted(features, key=lambda feature: -feature.lifts))
        self.settings = settings or {}

    def save(self, sheet: Path, rows: Path) -> None:
        """Write one sheet of all pictures, of at most SHOWN pixels a side each, and JSON that describes each."""
        features = sorted(self, key=lambda feature: feature.index)
        size, columns = min(SHOWN, features[0].picture.width), math.ceil(math.sqrt(len(features)))
        page = Image.new("RGB", (columns * size, math.ceil(len(features) / columns) * size))
        for index, feature in enumerate(features):
            tile = feature.picture.resize((size, size), Image.Resampling.LANCZOS)
            page.paste(tile, (index % columns * size, index // columns * size))
        page.save(sheet, quality=75, method=6)
        described = [{"classes": one.classes, "activation": one.activation, "lifts": one.lifts} for one in features]
        content = {"image_size": size, "settings": self.settings, "features": described}
        rows.write_text(json.dumps(content, indent=0) + "\n")

    @classmethod
    def load(cls, sheet: Path, rows: Path) -> FeatureGallery:
        """From the files that ``save`` wrote; ValueError if they are damaged."""
        try:
            content = read_json(rows)
            if "units" in content:  # as features were called in older files
                content |= {"features": content["units"], "settings": content.get("made")}
            size = content["image_size"]
            check_whole("image_size", size, SIDE)
            check_whole("features", len(content["features"]), FEATURES)
            for row in content["features"]:
                check_table("classes", row["classes"])
                check_numbers("features", [*row["classes"].values(), row["lifts"], row.get("activation", 0)])
            with Image.open(sheet, formats=("WEBP", "PNG")) as page:
                if page.width * page.height > LARGEST**2:
                    raise ValueError(f"expected at most {LARGEST**2:,} pixels, got {page.width}x{page.height}")
                columns = page.width // size
                corners = [(i % columns * size, i // columns * size) for i in range(len(content["features"]))]
                pictures = [page.crop((left, top, left + size, top + size)) for left, top in corners]
            pairs = zip(pictures, content["features"], strict=True)
            return cls((Feature(i, picture, **row) for i, (picture, row) in enumerate(pairs)), content.get("settings"))
        except (OSError, ValueError, TypeError, KeyError, ZeroDivisionError, Image.DecompressionBombError) as error:
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"checkpoint: expected readable {sheet.name} and {rows.name}, got {reason}") from None

    def search(self, text: str, group: Callable[[str], str] = str) -> FeatureGallery:
        """Those whose number is ``text``, or that serve a class in whose name or ``group`` it is; all for no text."""
        text = text.strip().lower()
        if text.isdecimal():
            return FeatureGallery(feature for feature in self if feature.index == int(text))
        return FeatureGallery(
            feature
            for feature in self
            if not text or any(text in f"{name} {group(name)}".lower() for name in feature.classes)
        )
