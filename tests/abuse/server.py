"""The app in public mode, on a port of this machine, and its visitors."""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from PIL import Image

from synth import TASKS, access
from synth.web import gate, visitors
from tests.conftest import bundled

HOSTILE, HONEST = "203.0.113.66", "203.0.113.7"
MARK = {"_type": "gradio.FileData"}
SHORT = {"steps": 1, "count": 1}


@contextmanager
def publicly(checkpoints: Path, uploads: Path):
    """Public mode, with these ``checkpoints`` bundled; a server of it must be asked within this."""
    with pytest.MonkeyPatch.context() as patch, bundled(checkpoints):
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        patch.setenv(access.VARIABLE, "1")
        yield


@contextmanager
def serving(checkpoints: Path, uploads: Path):
    """The app in public mode: its address, and the folder where it keeps uploads."""
    from synth.web.page import LAUNCH, build

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # restored at the end
        with ExitStack() as stack:
            with publicly(checkpoints, uploads):
                page = stack.enter_context(closing(build()))
                address = page.launch(prevent_thread_lock=True, quiet=True, **LAUNCH | gate.guards())[1]
            yield SimpleNamespace(address=address, folder=uploads)


@pytest.fixture(scope="module")
def public_server(checkpoints, tmp_path_factory):
    with serving(checkpoints, tmp_path_factory.mktemp("visits")) as server:
        yield server


@pytest.fixture
def visitor(public_server, checkpoints, monkeypatch):
    """``visitor(address)``: a client from there, with new limits for everybody."""
    monkeypatch.setattr(visitors, "_loads", visitors.Rate())
    monkeypatch.setattr(visitors, "UPLOADED", visitors.UPLOADED)
    clients = []

    def client(address: str) -> Client:
        clients.append(Client(public_server.address, address))
        return clients[-1]

    with publicly(checkpoints, public_server.folder):
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
