"""The tests' side of the Hub: a server process, and client processes with a cache and a token of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Server:
    """The Hub of one test module; see ``tests/hub_server.py``."""

    def __init__(self):
        command = [sys.executable, "-m", "tests.hub_server"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.address = self.process.stdout.readline().strip()

    def misbehave(self, *faults: dict) -> None:
        self._ask("/faults", json.dumps(faults).encode())

    def log(self) -> list:
        return json.loads(self._ask("/log"))

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.address + path, body) as response:
            return response.read()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


class Client:
    """A process of ``tests/hub_worker.py``: ``client(action, **arguments)`` is its answer."""

    def __init__(self, address: str, home: Path, token: str):
        self.home = home
        settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
        settings |= {"HF_HUB_OFFLINE": "0", "HF_HUB_DOWNLOAD_TIMEOUT": "3", "HF_HUB_ETAG_TIMEOUT": "3"}
        settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0", "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        command = [sys.executable, "-m", "tests.hub_worker"]
        self.process = subprocess.Popen(command, cwd=ROOT, env=os.environ | settings, **pipes)

    def __call__(self, action: str, **arguments) -> dict:
        self.send(action, **arguments)
        return self.receive()

    def send(self, action: str, **arguments) -> None:
        self.process.stdin.write(json.dumps({"action": action} | arguments) + "\n")
        self.process.stdin.flush()

    def receive(self) -> dict:
        outcome = json.loads(self.process.stdout.readline())
        assert "crash" not in outcome, outcome
        return outcome

    def publish(self, *arguments: str, token: str = "") -> dict:
        return self("publish", arguments=list(map(str, arguments)), token=token)

    def forget(self) -> None:
        shutil.rmtree(self.home / "hub", ignore_errors=True)

    def close(self) -> None:
        self.process.communicate()
