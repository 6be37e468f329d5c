"""Honest visitors among hostile ones: ``python -m bench.siege``. The app in public mode, twenty visitors, five hostile.

The honest ones make random calls with the bundled default checkpoint and wait for each picture. Whoever is refused,
since the line is full, asks again. The hostile ones each do one thing without pause: long runs of many pictures,
uploads, names of folders and of other checkpoints, bombs and broken requests, connections that nobody closes. At the
end every honest picture is compared with what Python makes of the same settings. Writes the table of docs/security.md;
exits 1 if an honest picture is lost or wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
from PIL import Image

from bench.clients import Call, plan, quantile, record_memory, run, serving
from synth import TASKS, Classifier, hub
from tests.abuse.bombs import bomb
from training.overview import fill
from training.tables import table

PAGE = Path(__file__).resolve().parent.parent / "docs/security.md"
ZOOM_LEAST = 128
MARK = {"_type": "gradio.FileData"}


def visitor(address: str, index: int, kind: int) -> httpx.AsyncClient:
    """A client whose requests come, as the proxy on this machine says, from an address of its own."""
    headers = {"X-Forwarded-For": f"198.51.{kind}.{index}"}
    return httpx.AsyncClient(base_url=address, timeout=None, headers=headers)


async def honest(client: httpx.AsyncClient, until: float, chance: random.Random, calls: list[Call]) -> None:
    while time.monotonic() < until:
        planned = plan(chance)
        calls.append(call := Call(planned.task, planned.settings))
        await run(client, call, {})
        while call.outcome == "refused":
            await asyncio.sleep(2)
            await run(client, again := Call(planned.task, planned.settings), {})
            call.outcome, call.status, call.pixels, call.waited = (
                again.outcome,
                again.status,
                again.pixels,
                again.waited,
            )


async def send(client: httpx.AsyncClient, path: str, **more) -> int:
    """The status of the answer, 0 without one."""
    with suppress(httpx.HTTPError):
        return (await client.post(path, **more)).status_code
    return 0


async def call(client: httpx.AsyncClient, task: str, **settings) -> int:
    values = [settings.get(name) for name in ("checkpoint", *TASKS[task].parameters)]
    return await send(client, f"/gradio_api/call/{task}", json={"data": [*values, None]})


async def long_runs(client: httpx.AsyncClient, chance: random.Random) -> None:
    """Twice as many as there are places, again and again, which nobody listens to."""
    for _ in range(6):
        await call(client, "generation", steps=1000, count=64, seed=chance.randrange(10**6))
    await asyncio.sleep(1)


async def uploads(client: httpx.AsyncClient, chance: random.Random) -> None:
    await send(client, "/gradio_api/upload", files={"files": ("x.png", chance.randbytes(10**7))})


async def names(client: httpx.AsyncClient, chance: random.Random) -> None:
    """Folders, files and other checkpoints, none of them the one that the honest ones use."""
    wanted = ["/etc", "../..", "checkpoints", "/root/.cache", *hub.bundled(), "a" * 100_000, "owner/none"]
    await call(client, "generation", checkpoint=chance.choice(wanted), steps=1, count=1)
    await asyncio.sleep(0.05)


async def broken(client: httpx.AsyncClient, chance: random.Random) -> None:
    """Bombs, places of the server's files, and bodies of every kind."""
    content = chance.choice([bomb(60_000, 60_000), bomb(12_000, 9_000), b"", chance.randbytes(1000)])
    with suppress(httpx.HTTPError, ValueError, LookupError):
        sent = await client.post("/gradio_api/upload", files={"files": ("x.png", content)})
        path = chance.choice([sent.json()[0], "/etc/passwd", "http://127.0.0.1:1/x"])
        await call(client, "maximisation", picture={"path": path, "meta": MARK}, steps=1)
    body = chance.choice(["[" * 100_000, "{", '{"data": 7}', "\0" * 1000, '{"data": ["' + "x" * 3_000_000 + '"]}'])
    await send(client, "/gradio_api/call/generation", content=body, headers={"Content-Type": "application/json"})


async def connections(client: httpx.AsyncClient, chance: random.Random) -> None:
    """Connections that stay open for some seconds, many at once."""

    async def hold(index: int) -> None:
        with suppress(httpx.HTTPError, TimeoutError):
            async with asyncio.timeout(5), client.stream("GET", f"/gradio_api/heartbeat/{index}") as stream:
                await stream.aread()

    await asyncio.gather(*(hold(chance.randrange(10**9)) for _ in range(80)))


HOSTILE = (long_runs, uploads, names, broken, connections)


async def besiege(client: httpx.AsyncClient, deed, chance: random.Random, counts: dict[str, int]) -> None:
    while True:
        await deed(client, chance)
        counts[deed.__name__] += 1


def bytes_in(folder: Path) -> Iterator[int]:
    """Of each file, while others may be deleted."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                yield os.lstat(os.path.join(parent, name)).st_size


def expected(model: Classifier, call: Call) -> bytes:
    """The pixels that Python makes, as the server's PNG shows them."""
    frame = call.task(model, **{name: value for name, value in call.settings.items() if name in call.task.parameters})
    side = frame.pictures.shape[-1]
    zoom = max(1, round((256 if len(frame.pictures) == 1 else ZOOM_LEAST) / side))
    frame.save("/dev/shm/siege.png", zoom=zoom)
    with Image.open("/dev/shm/siege.png") as image:
        return image.convert("RGB").tobytes()


async def siege(clients: int, hostile: int, seconds: float, seed: int) -> bool:
    with serving("--public") as (address, server, folder):
        calls, levels, counts = [], [], {deed.__name__: 0 for deed in HOSTILE}
        first = Call(TASKS["generation"], {"steps": 5, "seed": 0})
        warm = visitor(address, 1, 99)
        await run(warm, first, {})
        watch = asyncio.create_task(record_memory(server, levels))
        began = time.monotonic()
        chances = [random.Random(f"{seed} {index}") for index in range(clients)]
        crowd = [visitor(address, index, 100) for index in range(clients)]
        deeds = [
            asyncio.create_task(besiege(crowd[index], HOSTILE[index % len(HOSTILE)], chances[index], counts))
            for index in range(hostile)
        ]
        until = began + seconds
        await asyncio.gather(*(honest(crowd[i], until, chances[i], calls) for i in range(hostile, clients)))
        took = time.monotonic() - began
        for deed in deeds:
            deed.cancel()
        await asyncio.gather(*deeds, return_exceptions=True)
        watch.cancel()
        for client in (*crowd, warm):
            await client.aclose()
        size = sum(bytes_in(folder)) / 2**20
    model = hub.load(hub.DEFAULT)
    finished = [one for one in calls if one.outcome == "finished"]
    short = [one for one in finished if "since others wait" in one.status]
    wrong = sum(one.pixels != expected(model, one) for one in finished if one not in short)
    waits = sorted(one.waited for one in finished if one.waited is not None)
    for one in calls:
        if one.outcome != "finished":
            print(one, file=sys.stderr)
    quarters = [statistics.median(levels[len(levels) * i // 4 : len(levels) * (i + 1) // 4 + 1]) for i in range(4)]
    facts = {
        "visitors, hostile ones, seconds": f"{clients}, {hostile}, {took:.0f}",
        "honest pictures: asked for, finished, lost, wrong": f"{len(calls)}, {len(finished)}, "
        f"{len(calls) - len(finished)}, {wrong}",
        "of these with fewer steps, since others wait, and said so": f"{len(short)}",
        "wait of the honest for the first frame, median and 95%": f"{quantile(waits, 0.5):.1f} s, "
        f"{quantile(waits, 0.95):.1f} s",
        "hostile deeds": ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in counts.items()),
        "memory: start, medians of the four quarters, end": f"{levels[0]:.0f}, "
        f"{', '.join(f'{level:.0f}' for level in quarters)}, {levels[-1]:.0f} MB, {max(levels):.0f} MB at most",
        "files on the disk at the end": f"{size:.0f} MB",
    }
    text = table([f"{os.cpu_count()} CPU cores", ""], [[name, value] for name, value in facts.items()])
    print(text)
    fill(PAGE, "siege", text)
    return bool(finished) and len(finished) == len(calls) and not wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.siege", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--hostile", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    return 0 if asyncio.run(siege(**vars(options))) else 1


if __name__ == "__main__":
    sys.exit(main())
