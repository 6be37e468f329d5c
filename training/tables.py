"""Markdown tables of figures with their intervals."""

from __future__ import annotations

import math


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])


def table_of(rows: list[dict]) -> str:
    """A column for each key of the rows; figures with intervals are written as "value [low, high]"."""
    heads = list(dict.fromkeys(key for row in rows for key in row))

    def cell(value) -> str:
        if isinstance(value, dict):
            low, high = value["interval"] or (value["value"],) * 2
            return f"{value['value']:.3g} [{low:.3g}, {high:.3g}]"
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    counts = [next((one["count"] for one in row.values() if isinstance(one, dict)), "") for row in rows]
    lines = [[*(cell(row.get(head, "")) for head in heads), f"{n}"] for row, n in zip(rows, counts, strict=True)]
    return table([*(head.replace("_", " ") for head in heads), "count"], lines)


def interval_cell(figure: dict) -> str:
    """A figure and its interval, "value [low, high]"."""
    low, high = figure["interval"] or (math.nan, math.nan)
    value = f"{figure['value']:.3g}" if figure["value"] < 1 else f"{figure['value']:.2f}"
    return f"{value} [{low:.4g}, {high:.4g}]"
