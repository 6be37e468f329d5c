"""Bounds on what a file of somebody else may ask for, checked before it takes memory."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite
from pathlib import Path

SIDE = 1024
"""Pixels of a side."""
WIDTH = 8
"""A network's channels, as a multiple of torchvision's."""
CLASSES = 100_000
CHANNELS = 65_536
"""Of a map."""
STAGES = 16
DECODERS = 64
FEATURES = 4096
"""Features with a picture."""
PICTURES = 256
"""Pictures that come with a checkpoint."""
NAME = 200
"""Characters of a name."""
JSON_BYTES = 2 * 2**20
"""Of a JSON file: its values may take about 25 times as much memory."""


def check_whole(name: str, value, most: int, least: int = 1) -> None:
    """ValueError unless ``value`` is a whole number from ``least`` to ``most``."""
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: expected a whole number from {least} to {most:,}, got {str(value)[:40]}")


def check_width(value) -> None:
    """ValueError unless ``value`` is a multiplier of channel counts."""
    if not isinstance(value, int | float) or not isfinite(value) or not 0 < value <= WIDTH:
        raise ValueError(f"width: expected a number above 0 and at most {WIDTH}, got {str(value)[:40]}")


def check_numbers(name: str, values, count: int | None = None) -> None:
    """ValueError unless ``values`` is a list of finite numbers, ``count`` of them if that is given."""
    fits = isinstance(values, list | tuple) and all(
        isinstance(value, int | float) and isfinite(value) for value in values
    )
    if not fits or (count is not None and len(values) != count):
        raise ValueError(f"{name}: expected {count or 'a list of'} finite numbers, got {str(values)[:40]}")


def check_names(name: str, values: Iterable) -> None:
    """ValueError unless all ``values`` are names for one line; they may hold markup, which is shown as it is."""
    for value in values:
        if not isinstance(value, str) or len(value) > NAME or not value.isprintable():
            raise ValueError(f"{name}: expected names of at most {NAME} printable characters, got {str(value)[:40]!r}")


def check_table(name: str, value, depth: int = 1) -> None:
    """ValueError unless ``value`` is a JSON object whose keys are names, of such objects down to ``depth``."""
    if not isinstance(value, dict):
        raise ValueError(f"{name}: expected a JSON object, got {str(value)[:40]}")
    check_names(name, value)
    if depth > 1:
        for one in value.values():
            check_table(name, one, depth - 1)


def read_json(path: Path) -> dict:
    """The object in a JSON file; ValueError for one that is too large, too deep or no JSON, OSError as for any file."""
    with path.open("rb") as file:
        content = file.read(JSON_BYTES + 1)
    if len(content) > JSON_BYTES:
        raise ValueError(f"{path.name}: expected at most {JSON_BYTES >> 20} MB, got more")
    value = parse_json(content)
    if not isinstance(value, dict):
        raise ValueError(f"{path.name}: expected a JSON object, got {str(value)[:40]}")
    return value


def parse_json(content: bytes | str, **more):
    """As ``json.loads``; ValueError, too, for values nested too deeply and for numbers that are not finite."""
    try:
        return json.loads(content, parse_constant=_refuse, **more)
    except RecursionError:
        raise ValueError("expected JSON of sensible depth, got one that is nested too deeply") from None


def _refuse(word: str) -> None:
    raise ValueError(f"expected finite numbers, got {word}")
