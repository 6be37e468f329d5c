"""Figures with their uncertainty, as plain values for JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence

Z = 1.96
"""Half-width, in standard errors, of every 95 % interval."""


def proportion(right: int, count: int) -> dict:
    """A proportion with its count and 95 % Wilson interval."""
    p = right / count
    middle, half = p + Z * Z / (2 * count), Z * math.sqrt(p * (1 - p) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    interval = [round((middle - half) / scale, 4), round((middle + half) / scale, 4)]
    return {"value": round(p, 4), "count": count, "interval": interval}


def mean(values: Sequence[float]) -> dict:
    """A mean with its count and 95 % normal interval; of one value, the interval is None."""
    count = len(values)
    middle = math.fsum(values) / count
    if count == 1:
        return {"value": round(middle, 4), "count": 1, "interval": None}
    half = Z * math.sqrt(math.fsum((value - middle) ** 2 for value in values) / (count - 1) / count)
    return {"value": round(middle, 4), "count": count, "interval": [round(middle - half, 4), round(middle + half, 4)]}
