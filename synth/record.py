"""The settings of a picture, to repeat it: written into PNG and GIF files and links, and read back from them."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from PIL import Image, PngImagePlugin
from torch import Tensor

from synth import pictures
from synth.parameters import Choice, Float, Mask, Parameter, Picture
from synth.sizes import parse_json
from synth.version import VERSION

if TYPE_CHECKING:
    from synth.classifier import Classifier

KEY = "synth"
"""The text chunk of a PNG that holds the record."""


@dataclass(frozen=True)
class Record:
    """A task by name, the checkpoint that it ran with, all its settings by name, and the version that ran it.

    compare: the name of a second checkpoint, whose result was shown beside it.
    Pictures among the settings are tensors (N, 3, H, W) when they are written, and PIL images, or lists, when read.
    """

    task: str
    checkpoint: str
    settings: dict
    version: str = VERSION
    compare: str = ""

    def to_json(self, indent: int | None = None) -> str:
        """The record as text, with its pictures and masks; TypeError for a setting that cannot be stored."""
        order = ("task", "checkpoint", "version", *(["compare"] if self.compare else []), "settings")
        return json.dumps({name: getattr(self, name) for name in order}, default=_encode, indent=indent)

    def save(self, image: Image.Image, path: str | Path | io.BytesIO) -> None:
        """Write ``image`` as a PNG that carries the record; OSError if the file cannot be written."""
        info = PngImagePlugin.PngInfo()
        info.add_itxt(KEY, self.to_json())
        image.save(path, "PNG", pnginfo=info)

    @classmethod
    def read(cls, path: str | Path, name: str = "like") -> Record:
        """The record inside a PNG that ``save`` wrote, or a GIF of ``synth.recorder``.

        ValueError that begins with ``name`` if there is none.
        """
        image = pictures.open_image(path, name, sized=False)
        try:
            text = image.info["comment"] if image.format == "GIF" else getattr(image, "text", {})[KEY]
            values = parse_json(text, object_hook=_decode)
            more = str(values.get("version", "")), str(values.get("compare", ""))
            record = cls(values["task"], values["checkpoint"], values["settings"], *more)
            if not (isinstance(record.settings, dict) and isinstance(record.checkpoint, str)):
                raise TypeError
            return record
        except (*pictures.DAMAGED, AttributeError, KeyError):
            shown = pictures.show_value(path)
            raise ValueError(f"{name}: expected a PNG with the settings of a task inside, got {shown}") from None

    def to_query(self, defaults: dict) -> str:
        """The query of a link to the task: the settings that differ from ``defaults``; it cannot hold pictures."""
        changed = {name: value for name, value in self.settings.items() if (value or 0) != (defaults[name] or 0)}
        compare = {"compare": self.compare} if self.compare else {}
        return "?" + urlencode({"task": self.task, "checkpoint": self.checkpoint} | compare | changed)

    @classmethod
    def from_query(cls, query: Mapping[str, str]) -> Record:
        """The record of a link's ``query``, whose settings are texts."""
        settings = {name: value for name, value in query.items() if name not in ("task", "checkpoint", "compare")}
        return cls(query.get("task", ""), query.get("checkpoint", ""), settings, "", query.get("compare", ""))

    def restore(self, task, model: Classifier) -> dict:
        """The settings of ``task``, a ``synth.tasks.Task``, under today's names and checked for ``model``.

        Those that the record lacks have their defaults. ValueError for a setting that the task lacks or refuses, and
        for the name of a picture's file, which a record never holds.
        """
        settings, kinds = task.rename(self.settings), task.parameters
        pictured = [name for name, kind in kinds.items() if isinstance(kind, Picture | Mask)]
        for name, value in settings.items():
            if name not in kinds or (name in pictured and isinstance(value, str)):
                raise ValueError(f"{name}: expected a setting of {task.name} that a record can hold")
            if name not in pictured:
                settings[name] = _parse(kinds[name], value)
                checked = kinds[name].check(name, settings[name], model)
                settings[name] = checked if isinstance(kinds[name], Choice) else settings[name]
        if all(name in settings for name in pictured):
            task.check(model, **settings)
        return task.defaults(model) | settings


def _parse(kind: Parameter, value):
    """The number that a link's text spells, or the value as it is."""
    try:
        return float(value) if isinstance(kind, Float) and isinstance(value, str) else value
    except ValueError:
        return value


def _encode(value) -> dict | list[dict]:
    if not isinstance(value, Tensor):
        raise TypeError(f"cannot store {type(value).__name__} in a record")
    encoded = []
    for image in pictures.to_images(value.expand(-1, 3, -1, -1)):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        encoded.append({"png": base64.b64encode(buffer.getvalue()).decode()})
    return encoded[0] if len(encoded) == 1 else encoded


def _decode(value: dict):
    if set(value) != {"png"}:
        return value
    return Image.open(io.BytesIO(base64.b64decode(value["png"], validate=True)), formats=("PNG",))
