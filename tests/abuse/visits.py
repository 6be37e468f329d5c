"""Visitors of a public app: more than their share, and runs that fail."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from gradio.context import LocalContext
from PIL import Image

from synth import TASKS, access
from synth.recorder import Recorder
from synth.web import gate, gpu, running, visitors
from synth.web.checkpoints import load
from synth.web.line import LINE, Line
from synth.web.page import build
from synth.web.run import Run
from tests.abuse.bombs import bomb
from tests.abuse.measure import attack
from tests.abuse.server import HONEST, HOSTILE, SHORT, Client
from tests.toys import wait_for


def finishes(client: Client) -> bool:
    kind, data = client.call(**SHORT)
    return kind == "complete" and "Done" in data


@attack("refused")
def test_a_share_of_the_line(visitor):
    """one visitor with a fourth run in line; another one's first is taken"""
    hostile, honest = visitor(HOSTILE), visitor(HONEST)
    with LINE.place() as first:
        assert first.ahead() == 0
        waiting = [hostile.join(**SHORT) for _ in range(3)]
        wait_for(lambda: len(LINE) == 4)
        kind, data = hostile.call(**SHORT)
        assert kind == "error" and "queue: expected at most 3 runs of yours at a time" in data
        waiting.append(honest.join(**SHORT))
        wait_for(lambda: len(LINE) == 5)
    assert all(honest.wait(event)[0] == "complete" for event in waiting)


@attack("harmless")
def test_a_flood_of_calls_that_nobody_listens_to():
    """a flood of calls whose answers nobody takes, while another visitor waits for one"""
    sessions = gate.Heard(100)
    sessions["waiting"] = "the answer"
    for flood in range(1000):
        sessions[f"flood {flood}"] = ""
        assert flood % 50 or "waiting" in sessions, "who listens asks again and again"
    assert sessions["waiting"] == "the answer" and len(sessions) == 100
    with closing(build()) as page:
        assert isinstance(page._queue.pending_messages_per_session, gate.Heard)


@attack("refused")
def test_uploads(visitor, monkeypatch):
    """one visitor who uploads more than the share of a minute"""
    monkeypatch.setattr(visitors, "UPLOADED", 300_000)
    hostile = visitor("203.0.113.67")
    assert hostile.upload(b"0" * 200_000).status_code == 200
    assert hostile.upload(b"0" * 200_000).status_code == 429
    assert visitor(HONEST).upload(b"0" * 200_000).status_code == 200


@attack("refused")
@pytest.mark.parametrize("how", ["with its length", "in chunks of unknown number"])
def test_large_requests(visitor, how):
    """a request of 3 MB where a task is called,"""
    body = b'{"data": ["' + b"x" * 3_000_000 + b'"]}'
    content = body if how == "with its length" else (body[i : i + 65536] for i in range(0, len(body), 65536))
    headers = {"Content-Type": "application/json"}
    answer = visitor(HOSTILE).http.post("/gradio_api/call/generation", content=content, headers=headers)
    assert answer.status_code in (400, 413) and "Traceback" not in answer.text


@attack("refused")
def test_many_files_in_one_upload(visitor):
    """one upload of a thousand files, 70 MB in all"""
    files = [("files", (f"{index}.png", b"0" * 70_000)) for index in range(1000)]
    assert visitor("203.0.113.68").http.post("/gradio_api/upload", files=files).status_code in (400, 413)


@attack("refused")
def test_many_requests(visitor, monkeypatch):
    """one visitor with more requests than the share of a minute"""
    monkeypatch.setattr(visitors, "REQUESTS", 3)
    hostile = visitor("203.0.113.69")
    codes = [hostile.http.post("/gradio_api/cancel", json={}).status_code for _ in range(5)]
    assert codes[-2:] == [429, 429] and 429 not in codes[:3]


@attack("refused")
def test_many_connections(visitor, monkeypatch):
    """one visitor who holds more connections than allowed; they count no more when they are closed"""
    monkeypatch.setattr(visitors, "OPEN", 2)
    hostile = visitor("203.0.113.70")
    with hostile.http.stream("GET", "/gradio_api/heartbeat/a"), hostile.http.stream("GET", "/gradio_api/heartbeat/b"):
        assert hostile.http.get("/config").status_code == 429
        assert visitor(HONEST).http.get("/config").status_code == 200
    wait_for(lambda: hostile.http.get("/config").status_code == 200)


@attack("refused")
@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("x")])
def test_a_run_that_fails(visitor, monkeypatch, error):
    """a run that ends with an error; the next one works:"""

    def run(*_):
        raise error
        yield

    with monkeypatch.context() as patch:
        patch.setattr(type(TASKS["generation"]), "run", run)
        kind, data = visitor(HOSTILE).call(**SHORT)
    assert kind == "error" and ("fits into memory" in data) == (
        not isinstance(error, RuntimeError) or "CUDA" in str(error)
    )
    assert finishes(visitor(HONEST)) and len(LINE) == 0


@attack("refused")
def test_a_run_that_hangs(visitor, monkeypatch):
    """a step that does not end: its thread is left behind, and the next run works"""
    freed, begun = threading.Event(), time.monotonic()

    def run(*_):
        freed.wait(60)
        yield

    with monkeypatch.context() as patch:
        patch.setattr(gpu, "PATIENCE", 0.5)
        patch.setattr(type(TASKS["generation"]), "run", run)
        kind, data = visitor(HOSTILE).call(**SHORT)
    assert kind == "error" and "run: expected every step within 0.5 seconds" in data
    assert finishes(visitor(HONEST)) and len(LINE) == 0 and time.monotonic() - begun < 50
    freed.set()


@attack("refused")
def test_a_run_that_is_too_large(visitor, monkeypatch):
    """a run of more pixels than memory allows"""
    monkeypatch.setattr(visitors, "PIXELS", 20_000)
    kind, data = visitor(HOSTILE).call(steps=1, count=64)
    assert kind == "error" and "count: expected at most 19 pictures of 32 pixels a side, got 64" in data


@attack("harmless")
def test_runs_that_are_remembered(tiny, monkeypatch):
    """visits that keep runs until memory is full: those that were idle for longest are forgotten"""
    frame, sessions = TASKS["generation"](load(tiny), **SHORT), {}
    for index in range(10):
        recorder = Recorder(load(tiny))
        recorder.add(frame)
        sessions[str(index)] = SimpleNamespace(state_data={1: Run(frame, recorder=recorder), 2: "other"})
    holder = SimpleNamespace(state_holder=SimpleNamespace(session_data=sessions))
    monkeypatch.setattr(visitors, "KEPT", 3 * sessions["0"].state_data[1].size)
    LocalContext.blocks.set(holder)
    try:
        visitors.forget_oldest_runs()
    finally:
        LocalContext.blocks.set(None)
    kept = [name for name, session in sessions.items() if session.state_data[1] is not None]
    assert kept == ["7", "8", "9"] and all(session.state_data[2] == "other" for session in sessions.values())


@attack("harmless")
def test_rates_forget(monkeypatch):
    """a million visitors, each once: what is remembered of them is forgotten after a minute"""
    now, rate = [0.0], visitors.Rate()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for index in range(100_000):
        assert rate.take(str(index), 1)
    now[0] = 61
    assert rate.take("0", 1) and len(rate._sums) == len(rate._taken) == 1


@attack("refused")
@pytest.mark.parametrize("claimed", ["203.0.113.5", "203.0.113.5, 203.0.113.6"])
def test_another_address_is_claimed(claimed, monkeypatch):
    """a visitor of a Space who claims to be somebody else, in the header that its proxy adds to:"""
    monkeypatch.setenv("SPACE_ID", "owner/app")
    assert visitors.address([f"{claimed}, {HOSTILE}"], "10.0.0.1") == HOSTILE
    assert visitors.address([claimed, HOSTILE], "10.0.0.1") == HOSTILE
    monkeypatch.delenv("SPACE_ID")
    assert visitors.address([claimed], HOSTILE) == HOSTILE


@attack("harmless")
@pytest.mark.parametrize(
    "space, given, public", [("", None, False), ("owner/app", None, True), ("owner/app", False, False)]
)
def test_the_mode_is_said_at_the_start(space, given, public, monkeypatch):
    """the mode at the start, on a Space or not, chosen or not:"""
    monkeypatch.setenv("SPACE_ID", space)
    monkeypatch.setenv(access.VARIABLE, "")
    assert access.choose(given) == (access.PUBLIC if public else access.LOCAL) and access.is_public() == public


def test_pictures_of_the_visits_are_the_same(visitor, public_server):
    """An honest run in public mode gives what Python gives."""
    event = visitor(HONEST).call("generation", seed=3, **SHORT)
    path = json.loads(event[1])[0]["path"]
    with Image.open(path) as image:
        expected = TASKS["generation"](load("tiny"), seed=3, **SHORT).images[0]
        assert image.convert("RGB").resize((32, 32), 0).tobytes() == expected.tobytes()
    assert Path(path).is_relative_to(public_server.folder)


@attack("harmless")
def test_a_full_line(monkeypatch):
    """seven addresses that fill all 21 places: somebody with none still gets one, and goes before who has used more"""
    line, now = Line(), [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with ExitStack() as stack:
        places = [stack.enter_context(line.place(f"203.0.113.{index // 3}")) for index in range(21)]
        assert places[0].ahead() == 0 and len(line) == 21
        with line.place(HONEST) as honest:
            assert len(line) == 21 and honest.ahead() == 20
            with pytest.raises(ValueError, match="the last of them has left the line"):
                places[20].ahead()
            now[0] = 30
            places[0].rest()
            for place in places[:3]:
                place.asks = True
            assert honest.ahead() == 0, "who has used nothing comes before all runs of who has used the model"
    assert len(line) == 0


@attack("harmless")
def test_honest_visitors_among_hostile_ones(visitor):
    """honest runs while others send long runs, bombs, folders as names and uploads: none is lost or wrong"""
    expected = {seed: TASKS["generation"](load("tiny"), seed=seed, steps=2, count=1).images[0] for seed in range(4)}
    over = threading.Event()

    def besiege(client: Client, index: int) -> None:
        while not over.is_set():
            if index:
                client.call(checkpoint=f"/etc/{index}", steps=1)
                client.upload(bomb(60_000, 60_000))
                client.http.post("/gradio_api/call/generation", content="[" * 100_000)
            else:
                client.call(steps=100, count=32)

    hostile = [visitor(f"203.0.113.{100 + index}") for index in range(3)]
    threads = [threading.Thread(target=besiege, args=(client, index)) for index, client in enumerate(hostile)]
    honest, images = visitor(HONEST), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, "PUBLIC_PATIENCE", 0.3)
        for thread in threads:
            thread.start()
        for seed in expected:
            kind, data = honest.call(seed=seed, steps=2, count=1)
            while "since others wait" in data:  # a slow machine
                kind, data = honest.call(seed=seed, steps=2, count=1)
            images[seed] = json.loads(data)[0]["path"] if kind == "complete" else data
        over.set()
        for thread in threads:
            thread.join()
        wait_for(lambda: len(LINE) == 0)
    for seed, path in images.items():
        with Image.open(path) as image:
            assert image.convert("RGB").resize((32, 32), 0).tobytes() == expected[seed].tobytes()
