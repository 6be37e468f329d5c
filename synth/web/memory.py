"""The memory of a process that serves for weeks, where the C library is glibc.

glibc gives each thread a heap of its own, and keeps what is freed in pieces between blocks that are in use. With the
app's many threads, memory then grows for minutes although the app uses no more of it (``python -m bench.siege``).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress

M_ARENA_MAX = -8
"""Option of glibc's mallopt: the heaps that all threads share."""


def share_heaps(heaps: int = 2) -> None:
    """Let the threads that begin from now on share so many heaps."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_ARENA_MAX, heaps)


@contextmanager
def returning_memory() -> Iterator[None]:
    """At the end, return to the system whatever memory is free."""
    try:
        yield
    finally:
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
