"""How the app holds up: ``python -m bench.load``. Many clients at once, a third of whom leave midway.

The app is started on a free port of this machine with the bundled default checkpoint, first so that one run waits for
the other, then as it is. Each client makes one call after another over HTTP: a random task, seed and step count. Those
who leave cancel as the Stop button does, or just close the connection, half of them while they still wait. Then, alone:
how soon the model is free after somebody left, and whether finished calls give the same pixels again. Writes the tables
of docs/performance.md; exits 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass

import httpx
import psutil

from bench.clients import APP, ROOT, Call, plan, quantile, record_memory, run, serving
from synth import TASKS
from training.overview import fill
from training.tables import table

PAGE = ROOT / "docs/performance.md"
ONE_BY_ONE = ("-c", "import app; from synth.web import line; line.LINE._most = 1; app.main()")
FREE_WITHIN = 1.0  # seconds


async def keep_calling(address: str, until: float, chance: random.Random, functions: dict, calls: list[Call]) -> None:
    async with httpx.AsyncClient(base_url=address, timeout=None) as client:
        while time.monotonic() < until:
            calls.append(call := plan(chance))
            await run(client, call, functions)
            await asyncio.sleep(chance.uniform(0, 1) if call.outcome != "refused" else 2)


async def until_free(client: httpx.AsyncClient, leaves: str, functions: dict[str, int]) -> float:
    """Seconds from leaving a long run, the only one, to the first frame of a run that takes turns with no other."""
    long = Call(TASKS["generation"], {"steps": 1000}, leaves, 1e6, frames=3)
    await run(client, long, functions)
    while True:
        began = time.monotonic()
        call = Call(TASKS["generation"], {"steps": 1, "count": 1})
        await run(client, call, functions)
        if (long.outcome, call.outcome) != ("left running", "finished"):
            raise RuntimeError(f"expected a run that was left and one that finished, got {long} and {call}")
        if "in turn" not in call.first:
            return began - long.left + call.waited


@dataclass
class Level:
    """What some clients at once met: the calls, the seconds it took, and the server's memory in MB, each second."""

    calls: list[Call]
    seconds: float
    memory: list[float]

    @property
    def finished(self) -> list[Call]:
        return [call for call in self.calls if call.outcome == "finished"]

    @property
    def failed(self) -> list[Call]:
        return [call for call in self.calls if call.outcome.startswith("failed")]

    def waits(self) -> list[str]:
        """Cells of the table: the first frame, the last, and how many runs are finished in a minute."""
        first = sorted(call.waited for call in self.finished if call.waited is not None)
        last = sorted(call.took for call in self.finished)
        times = [f"{quantile(times, part):.1f}" for times in (first, last) for part in (0.5, 0.95)]
        return [*times, f"{60 * len(self.finished) / self.seconds:.0f}"]

    def facts(self) -> list[str]:
        """Cells of the other table: what became of the calls, and the memory."""
        counts = Counter(call.outcome.split(":")[0] for call in self.calls)
        names = ("finished", "left running", "left waiting", "refused", "failed")
        memory = f"{self.memory[0]:.0f}, {self.memory[-1]:.0f}, {max(self.memory):.0f}"
        return [", ".join(str(counts[name]) for name in names), memory]


async def crowd(
    address: str, server: psutil.Process, clients: int, seconds: float, seed: int, functions: dict
) -> Level:
    """So many clients for so many seconds, and then until their last call has ended."""
    calls, memory, began = [], [], time.monotonic()
    watch = asyncio.create_task(record_memory(server, memory))
    chances = [random.Random(f"{seed} {index}") for index in range(clients)]
    await asyncio.gather(*(keep_calling(address, began + seconds, chance, functions, calls) for chance in chances))
    watch.cancel()
    return Level(calls, time.monotonic() - began, memory)


async def load(program: tuple[str, ...], sizes: list[int], seconds: float, again: int, seed: int) -> tuple[list, dict]:
    """A ``Level`` for each number of clients, and what is measured at the end: cells by their titles."""
    with serving(program=program) as (address, server, folder):
        config = httpx.get(f"{address}/config", timeout=60).json()["dependencies"]
        functions = {part["api_name"]: part["id"] for part in config if part["api_name"] in TASKS}
        client = httpx.AsyncClient(base_url=address, timeout=None)
        for task in TASKS.values():  # warm-up: every task once
            call = next(c for c in map(plan, itertools.repeat(random.Random(seed))) if c.task is task and not c.leaves)
            await run(client, call, functions)
            print(f"{task.name}: {call.outcome}", file=sys.stderr)
        levels = [await crowd(address, server, clients, seconds, seed, functions) for clients in sizes]
        files = [path for path in folder.rglob("*") if path.is_file() and path.name != "log"]
        unknown = sum(path.parent == folder / "gradio" for path in files)
        free = [
            await until_free(client, way, functions) for way in ("cancel", "disconnect") for _ in range(5 * bool(again))
        ]
        finished = [call for level in levels for call in level.finished if call.status.startswith("Done")]
        sample = random.Random(seed).sample(finished, min(again, len(finished)))
        different = 0
        for call in sample:
            repeated = Call(call.task, call.settings)
            await run(client, repeated, functions)
            different += repeated.pixels != call.pixels
        await client.aclose()
        log = (folder / "log").read_text()
    if "Traceback" in log:
        print("\n" + log[log.index("Traceback") :][:4000], file=sys.stderr)
    return levels, {
        "tracebacks": log.count("Traceback"),
        "unknown files": unknown,
        "free": free,
        "repeated": len(sample),
        "different": different,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--seconds", type=float, default=60, help="for each number of clients")
    parser.add_argument("--again", type=int, default=20, help="finished pictures to make again, alone")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows, well = [], True
    for title, program in (("one after the other", ONE_BY_ONE), ("in turn", APP)):
        again = options.again if program is APP else 0
        levels, end = asyncio.run(load(program, options.clients, options.seconds, again, options.seed))
        rows += [[f"{n}, {title}", *one.waits()] for n, one in zip(options.clients, levels, strict=True)]
        for call in [call for level in levels for call in level.failed][:10]:
            print(call, file=sys.stderr)
        well &= all(level.finished and not level.failed for level in levels) and not end["tracebacks"]
    head = ["clients, runs", "first frame, s: median", "95 %", "last frame, s: median", "95 %", "finished a minute"]
    facts = [[str(n), *one.facts()] for n, one in zip(options.clients, levels, strict=True)]
    outcomes = "calls: finished, left while running, left while waiting, refused, failed"
    text = "\n\n".join([
        table(head, rows),
        "Of the runs in turn:",
        table(["clients", outcomes, "memory in MB: start, end, peak"], facts),
        f"Of {end['repeated']} finished pictures that were made again, alone, {end['different']} were different. "
        f"{max(end['free'], default=float('nan')):.2f} s after a call was cancelled or closed, at the latest, the next "
        f"had the models alone. {end['unknown files']} files were left that gradio does not know and remove.",
    ])  # fmt: skip
    print(text)
    fill(PAGE, "load", text)
    return 0 if well and not end["different"] and max(end["free"], default=0) <= FREE_WITHIN else 1


if __name__ == "__main__":
    sys.exit(main())
