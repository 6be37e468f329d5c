"""The line that runs wait in: one runs at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass

MOST_WAITING = 20
"""Runs that may wait; one more is refused."""
PLACES = 3
"""Runs of one visitor, where visitors are counted."""
FORGET = 0.9
"""What remains of the seconds that a visitor has used, after each run."""
FULL = "queue: expected at most {} waiting runs, got one more; the queue is full, try again in a minute"
SHARE = "queue: expected at most {} runs of yours at a time, got one more; wait until one of them ends"
DROPPED = "queue: expected one run of yours while many people wait, got several; the last of them has left the line"


@dataclass(eq=False)
class Ticket:
    """A run in the line, and whose it is."""

    who: str


class Line:
    """One runs at a time: first come, first served among those who have used the model equally long.

    Where visitors are counted, who has used it less goes first, and if the line is full, who has several places loses
    one to who has none. Gradio's queue alone would start a run before a cancelled one ended.
    """

    def __init__(self) -> None:
        self._waiting: list[Ticket] = []
        self._running: Ticket | None = None
        self._used: dict[str, float] = {}
        self._changed = threading.Condition()
        self._seconds = 2.0

    def __len__(self) -> int:
        """How many runs are in it, with the one that is running."""
        return len(self._waiting) + (self._running is not None)

    @contextmanager
    def place(self, who: str = ""):
        """Stand in line; yields ``ahead(timeout)``, which waits a little and returns the number of runs ahead.

        ``who``: of whom at most PLACES runs may be in it; "" for somebody who is not counted. ValueError, here or while
        waiting, if there is no room.
        """
        ticket, began = Ticket(who), 0.0
        with self._changed:
            self._make_room(who)
            self._waiting.append(ticket)

        def ahead(timeout: float = 0) -> int:
            nonlocal began
            with self._changed:
                self._changed.wait_for(lambda: self._position(ticket) < 1, timeout)
                position = self._position(ticket)
                if position < 0:
                    raise ValueError(DROPPED)
                if position == 0 and self._running is None:
                    self._waiting.remove(ticket)
                    self._running, began = ticket, time.monotonic()
                return position

        try:
            yield ahead
        finally:
            with self._changed:
                if self._running is ticket:
                    self._running = None
                    self._use(who, time.monotonic() - began)
                elif ticket in self._waiting:
                    self._waiting.remove(ticket)
                self._changed.notify_all()

    def _position(self, ticket: Ticket) -> int:
        """How many runs are ahead of this one, -1 if it has lost its place."""
        if self._running is ticket:
            return 0
        order = sorted(self._waiting, key=lambda other: self._used.get(other.who, 0))
        return order.index(ticket) + (self._running is not None) if ticket in order else -1

    def _make_room(self, who: str) -> None:
        taken = Counter(ticket.who for ticket in (*self._waiting, self._running) if ticket is not None)
        if who and taken[who] >= PLACES:
            raise ValueError(SHARE.format(PLACES))
        if len(self) <= MOST_WAITING:
            return
        last = next((ticket for ticket in reversed(self._waiting) if ticket.who and taken[ticket.who] > 1), None)
        if not who or taken[who] or last is None:
            raise ValueError(FULL.format(MOST_WAITING))
        self._waiting.remove(last)
        self._changed.notify_all()

    def _use(self, who: str, seconds: float) -> None:
        if who:
            self._used = {one: FORGET * used for one, used in self._used.items() if used > 0.5}
            self._used[who] = self._used.get(who, 0) + seconds

    def record_duration(self, seconds: float) -> None:
        """Take the duration of a finished run into account in later estimates."""
        self._seconds += 0.3 * (seconds - self._seconds)

    def estimate(self, ahead: int) -> float:
        """Seconds until a run starts that has ``ahead`` runs before it."""
        return ahead * self._seconds


LINE = Line()
