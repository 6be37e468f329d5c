"""What one visitor of a public app may take. In local mode nobody is counted."""

from __future__ import annotations

import os
import threading
import time
from collections import deque

from gradio.context import LocalContext

from synth import Frame, access
from synth.web.run import Run

LOADS = 6
"""Checkpoints a minute that are not among the few in memory; of all visitors together, LOADS_OF_ALL."""
LOADS_OF_ALL = 20
UPLOADED, UPLOADED_BY_ALL = 60 * 2**20, 300 * 2**20
"""Bytes a minute."""
REQUESTS = 600
"""POST requests a minute: dragging a slider through a run sends many."""
OPEN, OPEN_OF_ALL = 40, 600
"""Connections at the same time: an open page holds two."""
KEPT = 2**30
"""Bytes of the runs that all visits together remember."""
PIXELS = 2**22
"""Of all pictures of a run together, at its largest size; and of the runs in turn beside which another may begin."""


class Rate:
    """How much each visitor took within the last minute."""

    def __init__(self, seconds: float = 60) -> None:
        self._seconds, self._taken, self._lock = seconds, deque[tuple[float, str, float]](), threading.Lock()
        self._sums: dict[str, float] = {}

    def take(self, who: str, most: float, amount: float = 1) -> bool:
        """Whether ``who`` may take ``amount`` more, which is then counted."""
        with self._lock:
            now = time.monotonic()
            while self._taken and self._taken[0][0] < now - self._seconds:
                _, other, past = self._taken.popleft()
                self._sums[other] -= past
                if self._sums[other] <= 0:
                    del self._sums[other]
            if self._sums.get(who, 0) + amount > most:
                return False
            self._taken.append((now, who, amount))
            self._sums[who] = self._sums.get(who, 0) + amount
            return True


def address(forwarded: list[str], client: str) -> str:
    """Who sent a request: on a Space the last address that its proxy noted, elsewhere the ``client`` of the server.

    forwarded: the values of all headers X-Forwarded-For; earlier addresses in them are what the sender claims.
    """
    noted = ",".join(forwarded).split(",")[-1].strip() if os.environ.get("SPACE_ID") else ""
    return noted or client


def current() -> str:
    """The visitor whose event is being handled, "" in local mode and outside of events."""
    event = LocalContext.request.get(None) if access.is_public() else None
    request = getattr(event, "request", None)
    if request is None:
        return ""
    return address(request.headers.getlist("x-forwarded-for"), request.client.host if request.client else "unknown")


_loads = Rate()


def count_load() -> None:
    """ValueError if the current visitor, or all together, had too many other checkpoints loaded within a minute."""
    who = current()
    if who and not (_loads.take(who, LOADS) and _loads.take("", LOADS_OF_ALL)):
        raise ValueError(
            f"checkpoint: expected at most {LOADS} other ones a minute, got one more; try again in a minute"
        )


def pixels(frame: Frame) -> int:
    """Those of all pictures of a run together, at its largest size, from its first frame."""
    count, _, height, width = frame.pictures.shape
    return count * height * width * factor(frame) ** 2


def factor(frame: Frame) -> int:
    """How many times as wide as at its start a run ends."""
    return int(frame.settings.get("size", 1))


def check_size(frame: Frame) -> None:
    """ValueError, in public mode, for a run of so many pixels that it could take all memory, from its first frame."""
    if access.is_public() and pixels(frame) > PIXELS:
        count, side = len(frame.pictures), frame.pictures.shape[-1] * factor(frame)
        largest = max(1, PIXELS * count // pixels(frame))
        raise ValueError(f"count: expected at most {largest} pictures of {side} pixels a side, got {count}")


def forget_oldest_runs() -> None:
    """Of the runs that visits remember, forget those of the visits that were idle for longest, until the rest fit."""
    blocks = LocalContext.blocks.get(None)
    if blocks is None:
        return
    kept = [
        (session.state_data, key, value.size)
        for session in list(blocks.state_holder.session_data.values())
        for key, value in list(session.state_data.items())
        if isinstance(value, Run)
    ]
    total = sum(size for _, _, size in kept)
    for data, key, size in kept:
        if total <= KEPT:
            break
        data[key] = None
        total -= size
