"""Visitors of a public app: more than their share, other people's files, runs that fail, and requests of any kind."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import torch
from gradio.context import LocalContext

from synth import TASKS, access, hub
from synth.recorder import Recorder
from synth.web import gate, gpu, visitors
from synth.web.checkpoints import load
from synth.web.inspection import Run
from synth.web.line import LINE
from tests.abuse.measure import attack
from tests.conftest import bundled, draw_picture
from tests.toys import ENVIRONMENT, ROOT, wait_for

HOSTILE, HONEST = "203.0.113.66", "203.0.113.7"
MARK = {"_type": "gradio.FileData"}
SHORT = {"steps": 1, "count": 1}


@pytest.fixture(scope="module")
def public_server(checkpoints, tmp_path_factory):
    """The app in public mode, and the folder where it keeps uploads."""
    from synth.web.page import LAUNCH, build

    with pytest.MonkeyPatch.context() as patch, bundled(checkpoints):
        folder = tmp_path_factory.mktemp("visits")
        patch.setenv("GRADIO_TEMP_DIR", str(folder))
        patch.setenv(access.VARIABLE, "1")
        with closing(build()) as page:
            address = page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH | gate.guards())[1]
            yield SimpleNamespace(address=address, folder=folder)


@pytest.fixture
def visitor(public_server, monkeypatch):
    """``visitor(address)``: a client from there, with new limits for everybody."""
    monkeypatch.setenv(access.VARIABLE, "1")
    monkeypatch.setattr(visitors, "_loads", visitors.Rate())
    monkeypatch.setattr(visitors, "UPLOADED", visitors.UPLOADED)
    clients = []

    def client(address: str) -> Client:
        clients.append(Client(public_server.address, address))
        return clients[-1]

    yield client
    for one in clients:
        one.http.close()


class Client:
    """Calls tasks as a program does; a proxy on this machine says from where."""

    def __init__(self, server: str, address: str):
        self.http = httpx.Client(base_url=server, timeout=60, headers={"X-Forwarded-For": address})

    def join(self, task: str = "generation", **settings) -> str:
        values = [settings.get(name) for name in ("checkpoint", *TASKS[task].parameters, "preset")]
        answer = self.http.post(f"/gradio_api/call/{task}", json={"data": values})
        return answer.raise_for_status().json()["event_id"]

    def wait(self, event: str, task: str = "generation") -> tuple[str, str]:
        """ "complete" or "error", and what it says."""
        text = self.http.get(f"/gradio_api/call/{task}/{event}").text
        *_, kind, data = [line.split(": ", 1)[1] for line in text.splitlines() if line]
        return kind, data

    def call(self, task: str = "generation", **settings) -> tuple[str, str]:
        return self.wait(self.join(task, **settings), task)

    def upload(self, content: bytes, name: str = "x.png") -> httpx.Response:
        return self.http.post("/gradio_api/upload", files={"files": (name, content)})


def finishes(client: Client) -> bool:
    kind, data = client.call(**SHORT)
    return kind == "complete" and "done" in data


@attack("refused")
def test_a_share_of_the_line(visitor):
    """one visitor with a fourth run in line; another one's first is taken"""
    hostile, honest = visitor(HOSTILE), visitor(HONEST)
    with LINE.place():
        waiting = [hostile.join(**SHORT) for _ in range(3)]
        wait_for(lambda: len(LINE) == 4)
        kind, data = hostile.call(**SHORT)
        assert kind == "error" and "queue: expected at most 3 runs of yours at a time" in data
        waiting.append(honest.join(**SHORT))
        wait_for(lambda: len(LINE) == 5)
    assert all(honest.wait(event)[0] == "complete" for event in waiting)


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


@pytest.fixture(scope="module")
def canary():
    """A server on this machine that nobody is to ask: its address, and the requests that it got."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"secret")

        do_HEAD = do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(address=f"http://127.0.0.1:{server.server_port}", requests=requests)
    server.shutdown()
    server.server_close()


ROUTES = [
    "file={canary}/x",
    "file=HTTP://127.0.0.1/x",
    "file/{canary}/x",
    "proxy={canary}/x",
    "proxy=https://hf.space/x",
]


@attack("refused")
@pytest.mark.parametrize("case", ROUTES)
def test_an_address_to_fetch(visitor, canary, case):
    """a route that would fetch an address for the visitor:"""
    answer = visitor(HOSTILE).http.get("/gradio_api/" + case.format(canary=canary.address))
    assert answer.status_code == 403 and canary.requests == [] and "secret" not in answer.text


PATHS = {
    "/etc/passwd": "/etc/passwd",
    "the code": __file__,
    "a checkpoint's weights": "{bundled}/tiny/model.safetensors",
    "a checkpoint by a detour through the uploads": "{folder}/../checkpoints0/tiny/config.json",
    "encoded dots": "{folder}/%2e%2e/checkpoints0/tiny/config.json",
    "a link among the uploads": "{folder}/link",
    "the environment": "/proc/self/environ",
    "the folder of the uploads": "{folder}",
    "a file of another visitor, guessed": "{folder}/{guess}/x.png",
    "a null byte": "{folder}/%00",
}


@attack("refused")
@pytest.mark.parametrize("case", PATHS)
def test_a_file(visitor, public_server, case):
    """reading"""
    link = public_server.folder / "link"
    if not link.exists():
        link.symlink_to("/etc/passwd")
    visitor(HONEST).upload(b"secret of another visitor")
    path = PATHS[case].format(folder=public_server.folder, bundled=hub.BUNDLED, guess="0" * 64)
    answer = visitor(HOSTILE).http.get(f"/gradio_api/file={path}")
    assert answer.status_code in (403, 404) and "secret" not in answer.text and "root:" not in answer.text


@attack("refused")
def test_probing_by_reading(visitor):
    """asking for files of the server, to learn which exist: the same answer"""
    paths = ("/etc/passwd", "/etc/nothing", "/root", "/nowhere")
    answers = {visitor(HOSTILE).http.get(f"/gradio_api/file={path}").status_code for path in paths}
    assert answers == {403}


FILES = {
    "/etc/passwd": {"path": "/etc/passwd"},
    "a checkpoint's example": {"path": "{bundled}/tiny/examples/square.png"},
    "a detour": {"path": "{folder}/../checkpoints0/tiny/examples/square.png"},
    "an address of this machine": {"path": "{canary}/x.png", "url": "{canary}/x.png"},
    "an address beside an upload": {"path": "{folder}/x.png", "url": "{canary}/x.png"},
    "file://": {"path": "file:///etc/passwd"},
    "/dev/zero": {"path": "/dev/zero"},
}


@attack("refused")
@pytest.mark.parametrize("case", FILES)
def test_a_picture_by_its_place(visitor, public_server, canary, case):
    """as picture of a run:"""
    places = {"bundled": hub.BUNDLED, "folder": public_server.folder, "canary": canary.address}
    value = {key: text.format(**places) for key, text in FILES[case].items()} | {"meta": MARK}
    kind, data = visitor(HOSTILE).call("maximisation", picture=value, steps=1)
    assert kind == "error" and canary.requests == [] and "root:" not in data


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
        sessions[str(index)] = SimpleNamespace(state_data={1: Run(recorder, frame), 2: "other"})
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
    assert visitors.address({"x-forwarded-for": f"{claimed}, {HOSTILE}"}, "10.0.0.1") == HOSTILE
    monkeypatch.delenv("SPACE_ID")
    assert visitors.address({"x-forwarded-for": claimed}, HOSTILE) == HOSTILE


START = """
import sys
asked = []
def hook(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname"):
        asked.append(str(arguments[-1] if "connect" in event or "sendto" in event else arguments[:2]))
sys.addaudithook(hook)
import argparse, json, threading, time, urllib.request
from synth.web import launch
from gradio import Blocks
parser = argparse.ArgumentParser()
launch.add_options(parser)
show = Blocks.launch
def launched(self, **more):
    address = show(self, prevent_thread_lock=True, quiet=True, **more)[1]
    urllib.request.urlopen(address).read()
    time.sleep(1)
Blocks.launch = launched
launch.launch(parser.parse_args(["--host", "127.0.0.1", "--public"]))
print(json.dumps([one for one in asked if "127.0.0.1" not in one and "localhost" not in one and "::1" not in one]))
import os
os._exit(0)
"""


@attack("harmless")
def test_no_request_at_the_start():
    """the start of the app, and a visit: it asks no other machine for anything"""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "HF_HUB_OFFLINE"}
    command = [sys.executable, "-c", START]
    process = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    said, *_, asked = process.stdout.splitlines() or [process.stderr[-1000:]]
    assert said == access.PUBLIC and json.loads(asked) == []


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
    from PIL import Image

    event = visitor(HONEST).call("generation", seed=3, **SHORT)
    path = json.loads(event[1])[0]["path"]
    with Image.open(path) as image:
        expected = TASKS["generation"](load("tiny"), seed=3, **SHORT).images[0]
        assert image.convert("RGB").resize((32, 32), 0).tobytes() == expected.tobytes()
    assert Path(path).is_relative_to(public_server.folder) and draw_picture()
