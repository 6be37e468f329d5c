"""Files and addresses that a visitor names: other people's, the server's, other machines'."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from synth import access, hub
from tests.abuse.measure import attack
from tests.abuse.server import HONEST, HOSTILE, MARK
from tests.toys import ENVIRONMENT, ROOT


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
