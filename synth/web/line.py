"""The line that runs wait in: one runs at a time."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass

MOST_WAITING = 20
"""Runs that may wait; one more is refused."""
PLACES = 3
"""Runs of one visitor, where visitors are counted."""
SHARE = "queue: expected at most {} runs of yours at a time, got one more; wait until one of them ends"
FULL = "queue: expected at most {} waiting runs, got one more; the queue is full, try again in a minute"


@dataclass(eq=False)
class Ticket:
    """A run in the line, and whose it is."""

    who: str


class Line:
    """First come, first served, one at a time. Gradio's queue alone would start a run before a cancelled one ended."""

    def __init__(self) -> None:
        self._tickets: deque[Ticket] = deque()
        self._changed = threading.Condition()
        self._seconds = 2.0

    def __len__(self) -> int:
        """How many runs are in it, with the one that is running."""
        return len(self._tickets)

    @contextmanager
    def place(self, who: str = ""):
        """Stand in line; yields ``ahead(timeout)``, which waits a little and returns the number of runs ahead.

        ``who``: of whom at most PLACES runs may be in it; "" for somebody who is not counted.
        """
        ticket = Ticket(who)
        with self._changed:
            if who and sum(other.who == who for other in self._tickets) >= PLACES:
                raise ValueError(SHARE.format(PLACES))
            if len(self._tickets) > MOST_WAITING:
                raise ValueError(FULL.format(MOST_WAITING))
            self._tickets.append(ticket)

        def ahead(timeout: float = 0) -> int:
            with self._changed:
                self._changed.wait_for(lambda: self._tickets[0] is ticket, timeout)
                return self._tickets.index(ticket)

        try:
            yield ahead
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def record_duration(self, seconds: float) -> None:
        """Take the duration of a finished run into account in later estimates."""
        self._seconds += 0.3 * (seconds - self._seconds)

    def estimate(self, ahead: int) -> float:
        """Seconds until a run starts that has ``ahead`` runs before it."""
        return ahead * self._seconds


LINE = Line()
