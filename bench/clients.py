"""Clients of the running app, for ``bench.load`` and ``bench.siege``: the app as a process, and calls over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
from PIL import Image

from synth import TASKS, Task, hub
from synth.parameters import ClassName, Mask, Picture

ROOT = Path(__file__).resolve().parent.parent
APP = ("app.py",)
STEPS = (5, 10, 20, 40)


@dataclass
class Call:
    """One call: its task and settings (pictures as paths), who leaves it and when, and what became of it."""

    task: Task
    settings: dict
    leaves: str = ""  # "cancel", "disconnect", or not at all
    patience: float = 0  # seconds after which a leaving client leaves
    frames: int = 0  # or the frames after which it does, if that comes first
    outcome: str = ""
    status: str = ""  # what the server says at the end
    waited: float | None = None  # seconds until the first frame
    first: str = ""  # what the server says with it
    took: float = 0  # seconds until the last one
    left: float = 0  # when it was left, on the monotonic clock
    pixels: bytes = field(default=b"", repr=False)


@contextmanager
def serving(*options: str, program: tuple[str, ...] = APP) -> Iterator[tuple[str, psutil.Process, Path]]:
    """The app as a process of its own: its address, the process, and the folder where it leaves files."""
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        places = {"TMPDIR": folder, "GRADIO_TEMP_DIR": f"{folder}/gradio", "HF_HUB_OFFLINE": "1"}
        command = [sys.executable, *program, "--host", "127.0.0.1", "--port", str(port), *options]
        with open(f"{folder}/log", "w+") as log:
            server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **places}, stdout=log, stderr=log)
            try:
                address = f"http://127.0.0.1:{port}"
                wait_for(address, server, log)
                yield address, psutil.Process(server.pid), Path(folder)
            finally:
                server.terminate()
                server.wait(30)


def wait_for(address: str, server: subprocess.Popen, log) -> None:
    for _ in range(240):
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/config", timeout=60).is_success:
                return
        if server.poll() is not None:
            break
        time.sleep(0.5)
    log.seek(0)
    raise RuntimeError(f"the app did not start: {log.read()[-1000:]}")


async def events(client: httpx.AsyncClient, call: Call, begun: list[str] | None = None) -> AsyncIterator[tuple]:
    """The events (name, data) of a call; ``begun`` gets its id. Leaving the loop closes the connection."""
    values = []
    for name, kind in call.task.parameters.items():
        value = call.settings.get(name)
        if isinstance(kind, (Picture, Mask)) and value is not None:
            sent = await client.post("/gradio_api/upload", files={"files": (value.name, value.read_bytes())})
            value = {"path": sent.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}
        values.append(value)
    joined = await client.post(f"/gradio_api/call/{call.task.name}", json={"data": [None, *values, None]})
    if joined.status_code == 503:
        yield "refused", joined.json()["detail"]
        return
    event = joined.raise_for_status().json()["event_id"]
    if begun is not None:
        begun.append(event)
    async with client.stream("GET", f"/gradio_api/call/{call.task.name}/{event}") as stream:
        name = ""
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                yield name, json.loads(line.removeprefix("data: "))


async def run(client: httpx.AsyncClient, call: Call, functions: dict[str, int]) -> None:
    """Make the call, leave it if that is the plan, and note the outcome."""
    begun, began, frames = [], time.monotonic(), 0
    stream = events(client, call, begun)
    try:
        while not call.outcome:
            left = call.patience - (time.monotonic() - began) if call.leaves else None
            try:
                name, data = await asyncio.wait_for(anext(stream), None if left is None else max(left, 0.01))
            except TimeoutError:
                name, data = "impatience", None
            if name == "refused":
                call.outcome = "refused" if "queue is full" in data.lower() else f"failed: {data}"
            elif name == "error":
                call.outcome = "refused" if "queue is full" in str(data) else f"failed: {data}"
            elif name == "complete":
                call.outcome = "finished" if data[1].startswith(("Done", "Ended")) else f"failed: {data}"
                call.status, call.took = data[1], time.monotonic() - began
                image = await client.get(data[0]["url"])
                call.pixels = Image.open(io.BytesIO(image.raise_for_status().content)).convert("RGB").tobytes()
            elif name == "generating" and data[0] is not None:
                frames += 1
                call.waited, call.first = call.waited or time.monotonic() - began, call.first or data[1]
            if not call.outcome and call.leaves and (name == "impatience" or frames >= call.frames):
                call.outcome = "left waiting" if call.waited is None else "left running"
                call.left = time.monotonic()
                if call.leaves == "cancel" and begun:
                    await leave(client, functions[call.task.name], begun[0])
    except (httpx.HTTPError, StopAsyncIteration, OSError, ValueError, LookupError) as error:
        call.outcome = f"failed: {type(error).__name__} {error}"
    finally:
        await stream.aclose()


async def leave(client: httpx.AsyncClient, function: int, event: str) -> None:
    """Cancel as the Stop button and gradio_client do."""
    body = {"session_hash": event, "fn_index": function, "event_id": event}
    (await client.post("/gradio_api/cancel", json=body)).raise_for_status()


def plan(chance: random.Random) -> Call:
    """A random call; every third one leaves."""
    task = chance.choice(list(TASKS.values()))
    settings = {"seed": chance.randrange(2**31), "steps": chance.choice(STEPS)}
    examples = sorted((hub.BUNDLED / hub.DEFAULT / "examples").glob("*.png"))
    for name, kind in task.parameters.items():
        if isinstance(kind, Picture):
            settings[name] = chance.choice(examples)
        elif isinstance(kind, Mask):
            settings[name] = ROOT / "docs/inputs/mask-centre.png"
        elif isinstance(kind, ClassName) and not kind.optional:
            settings[name] = str(chance.randrange(10))
    leaves = chance.choice(("cancel", "disconnect", "", "", "", ""))
    waits = chance.random() < 0.5
    return Call(task, settings, leaves, chance.uniform(0, 5) if waits else 1e6, chance.randint(1, 4))


async def record_memory(server: psutil.Process, levels: list[float]) -> None:
    """Append the resident memory in MB every second."""
    while True:
        levels.append(server.memory_info().rss / 2**20)
        await asyncio.sleep(1)


def quantile(values: list[float], part: float) -> float:
    return values[min(len(values) - 1, int(part * len(values)))] if values else float("nan")
