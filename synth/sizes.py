"""Bounds on the sizes that a file of somebody else may ask for, checked before they take memory."""

from __future__ import annotations

from math import isfinite

SIDE = 1024
"""Pixels of a side."""
WIDTH = 8
"""A network's channels, as a multiple of torchvision's."""
CLASSES = 100_000
CHANNELS = 65_536
"""Of a map."""
STAGES = 16


def check_whole(name: str, value, most: int, least: int = 1) -> None:
    """ValueError unless ``value`` is a whole number from ``least`` to ``most``."""
    if not isinstance(value, int) or not least <= value <= most:
        raise ValueError(f"{name}: expected a whole number from {least} to {most:,}, got {str(value)[:40]}")


def check_width(value) -> None:
    """ValueError unless ``value`` is a multiplier of channel counts."""
    if not isinstance(value, int | float) or not isfinite(value) or not 0 < value <= WIDTH:
        raise ValueError(f"width: expected a number above 0 and at most {WIDTH}, got {str(value)[:40]}")
