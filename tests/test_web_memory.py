"""What the app does so that memory does not grow with the runs it has served."""

import platform
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from synth.web.memory import returning_memory

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="memory is managed otherwise without glibc")


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_memory_freed_between_blocks_in_use_returns_to_the_system():
    blocks = [bytearray(b"x" * 64_000) for _ in range(2_000)]
    kept = blocks[::10]
    del blocks
    before = resident()
    with returning_memory():
        pass
    assert before - resident() > 60 * 2**20
    assert all(block == b"x" * 64_000 for block in kept)


def in_threads(count: int = 16) -> int:
    """How many heaps ``count`` threads took beside the first, from the map of this process's memory."""

    def hold() -> None:
        held.append(bytearray(50_000))
        everyone.wait()

    held, everyone = [], threading.Barrier(count + 1)
    for _ in range(count):
        threading.Thread(target=hold).start()
    everyone.wait()
    lines = Path("/proc/self/maps").read_text().splitlines()
    starts = (line.split("-")[0] for line in lines if line.split()[1].startswith("rw"))
    return sum(int(start, 16) % 2**26 == 0 for start in starts)


def test_threads_share_their_heaps():
    def taken(first: str) -> int:
        code = f"{first}; from tests.test_web_memory import in_threads; print(in_threads())"
        return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)

    assert taken("from synth.web.memory import share_heaps; share_heaps()") <= 3 < 8 < taken("pass")
