"""What an attack costs: the peak of this process's memory above where it was, and the seconds that it took.

``@attack("refused")`` or ``@attack("harmless")`` marks a test with its outcome, which the test checks.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

ROWS = "ABUSE_ROWS"
"""Environment variable: a file that gets a line of JSON for each attack."""


def attack(outcome: str):
    assert outcome in ("refused", "harmless")
    return pytest.mark.outcome(outcome)


def memory(kind: str) -> float:
    """ "VmRSS", or its peak "VmHWM", in MB; 0 where the system does not say."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(kind):
                return int(line.split()[1]) / 1024
    return 0


class Cost:
    """Filled at the end of ``costing``."""

    peak = seconds = 0.0


_inner: list[Cost] = []


@contextmanager
def costing():
    """Measure what happens inside: the attack, without what prepares it. Without one, it is the whole test."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    cost, before, began = Cost(), memory("VmRSS"), time.monotonic()
    try:
        yield cost
    finally:
        cost.seconds, cost.peak = time.monotonic() - began, max(0.0, memory("VmHWM") - before)
        _inner.append(cost)


def name(item: pytest.Item) -> tuple[str, str]:
    """The attack in words: the test's docstring, and the case."""
    case = item.name.partition("[")[2].removesuffix("]")
    return item.function.__doc__.strip().splitlines()[0], case


@pytest.fixture(autouse=True)
def row(request):
    """Every attack of this file leaves a row for the table, if one is wanted."""
    mark = request.node.get_closest_marker("outcome")
    _inner.clear()
    with costing():
        yield
    cost = _inner[0]
    if mark is not None and (path := os.environ.get(ROWS)):
        what, case = name(request.node)
        line = {"what": what, "case": case, "outcome": mark.args[0], "test": request.node.function.__name__}
        with open(path, "a") as file:
            print(json.dumps(line | {"peak": cost.peak, "seconds": cost.seconds}), file=file)
