"""The line of runs: they take turns with the models."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from synth.web.gpu import ZERO
from synth.web.visitors import PIXELS

MOST = 21
"""Runs in the line; one more is refused."""
PLACES = 3
"""Runs of one visitor, where visitors are counted."""
CHECKPOINTS = 3
"""Checkpoints of the runs that have begun and take turns."""
FULL = "queue: expected at most {} runs at a time, got one more; the queue is full, try again in a minute"
SHARE = "queue: expected at most {} runs of yours at a time, got one more; wait until one of them ends"
DROPPED = "queue: expected one run of yours while many people wait, got several; the last of them has left the line"


class Place:
    """A run's place in the line. It asks for a turn by ``ahead``, and ends the turn by ``rest``.

    pixels: of its pictures, to be set when they are known; used: seconds that it has had the models; begun: whether it
    had a turn; lost: whether it gave way to somebody who had no place.
    """

    def __init__(self, line: Line, who: str, checkpoint: str) -> None:
        self._line, self.who, self.checkpoint = line, who, checkpoint
        self.pixels, self.used, self.begun, self.lost, self.asks = 0, 0.0, False, False, False

    def ahead(self, timeout: float = 0) -> int:
        """0 once it has its turn, or is lost after it began; else, after ``timeout``, the number of runs before it.

        ValueError if it is lost before it began.
        """
        return self._line.ask(self, timeout)

    def rest(self) -> None:
        """End the turn, if it has one."""
        self._line.rest(self)


class Line:
    """One run at a time has the models, for a turn; the next is of whoever has used them least.

    Whoever comes counts as having used them as long as the one who has used them least, so that a first turn comes soon
    and nobody waits for ever. A visitor's runs count together, where visitors are counted. Runs that hold much memory
    wait with their first turn until others have ended, first come, first served.

    most: how many runs may have begun at the same time.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._places: list[Place] = []
        self._holder: Place | None = None
        self._since = 0.0
        self._used: dict[object, float] = {}
        self._changed = threading.Condition()

    def __len__(self) -> int:
        """How many runs are in it."""
        return len(self._places)

    @contextmanager
    def place(self, who: str = "", checkpoint: str = "") -> Iterator[Place]:
        """A place in the line for a run of ``checkpoint``, until the end of the block; ValueError if there is none.

        ``who``: of whom at most PLACES runs may be in it; "" for somebody who is not counted.
        """
        place = Place(self, who, checkpoint)
        with self._changed:
            self._make_room(who)
            self._used[whose(place)] = max(self._used.get(whose(place), 0), self._least())
            self._places.append(place)
        try:
            yield place
        finally:
            self.rest(place)
            with self._changed:
                if place in self._places:
                    self._places.remove(place)
                self._forget()

    def ask(self, place: Place, timeout: float) -> int:
        """As ``Place.ahead``."""
        with self._changed:
            place.asks = True
            self._changed.wait_for(lambda: place.lost or self._next() is place, timeout)
            turn = self._next() is place
            place.asks = False
            if place.lost and not place.begun:
                raise ValueError(DROPPED)
            if turn:
                self._holder, self._since, place.begun = place, time.monotonic(), True
            if turn or place.lost:
                return 0
            return sum(other.begun or self._key(other) < self._key(place) for other in self._places) or 1

    def rest(self, place: Place) -> None:
        """As ``Place.rest``."""
        with self._changed:
            if self._holder is place:
                used = time.monotonic() - self._since
                self._holder, place.used = None, place.used + used
                self._used[whose(place)] = self._used.get(whose(place), 0) + used
                self._changed.notify_all()

    def _key(self, place: Place) -> tuple:
        return self._used[whose(place)], place.begun, self._places.index(place)

    def _next(self) -> Place | None:
        """Who has the next turn, of those who ask for one."""
        asking = sorted((place for place in self._places if place.asks), key=self._key)
        new = [place for place in asking if not place.begun]
        if self._holder is not None:
            return None
        return next((place for place in asking if place.begun or (place is new[0] and self._fits(place))), None)

    def _fits(self, new: Place) -> bool:
        """Whether it may begin beside those that have begun."""
        begun = [place for place in self._places if place.begun]
        checkpoints = {place.checkpoint for place in (new, *begun)}
        room = sum(place.pixels for place in begun) < PIXELS and len(checkpoints) <= CHECKPOINTS
        return not begun or (room and len(begun) < self._most)

    def _least(self) -> float:
        return min((self._used[whose(place)] for place in self._places), default=0)

    def _forget(self) -> None:
        """Forget what was used by those who are not here, unless it is more than what others have used."""
        here, least = {whose(place) for place in self._places}, self._least() if self._places else float("inf")
        self._used = {one: used for one, used in self._used.items() if one in here or used > least}
        self._changed.notify_all()

    def _make_room(self, who: str) -> None:
        taken = Counter(place.who for place in self._places)
        if who and taken[who] >= PLACES:
            raise ValueError(SHARE.format(PLACES))
        if len(self) < MOST:
            return
        several = [place for place in self._places if place.who and taken[place.who] > 1]
        if not who or taken[who] or not several:
            raise ValueError(FULL.format(MOST))
        last = [place for place in several if not place.begun][-1:] or several[-1:]
        last[0].lost = True
        self._places.remove(last[0])
        self._changed.notify_all()


def whose(place: Place) -> object:
    """What the use of the models is counted by: the visitor, or the run itself where visitors are not counted."""
    return place.who or place


LINE = Line(most=1 if ZERO else MOST)
"""On ZeroGPU a run that has begun has the GPU until it ends."""
