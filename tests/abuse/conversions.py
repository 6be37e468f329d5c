"""Files of other projects that hold code, unpack to much, or lie on addresses that are nobody's business."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch

from synth import access
from synth.integrity import Seal
from tests.abuse.measure import attack, costing
from training import foreign
from training.convert import main

MEMORY = 100


class Code:
    """What calls ``path.touch()`` when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def stored(content, **more) -> bytes:
    torch.save(content, file := io.BytesIO(), **more)
    return file.getvalue()


def archive(compression: int = zipfile.ZIP_STORED, **entries: bytes) -> bytes:
    with zipfile.ZipFile(file := io.BytesIO(), "w", compression) as pack:
        for name, content in entries.items():
            pack.writestr(f"archive/{name.replace('__', '/')}", content)
    return file.getvalue()


def tar(code: Code) -> bytes:
    with tarfile.open(fileobj=(file := io.BytesIO()), mode="w") as pack:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(code)
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            pack.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def own_parent(code: Code) -> bytes:
    content = {}
    content["model"] = content
    return stored(content)


def huge_storage(code: Code) -> bytes:
    """A legacy file whose only tensor says that it has 2^40 numbers."""
    file = io.BytesIO(stored({"a": torch.zeros(7)}, _use_new_zipfile_serialization=False))
    return file.getvalue().replace(struct.pack("<B", 7), struct.pack("<B", 255))


HIDDEN = {
    "a pickle": lambda code: pickle.dumps(code, 2),
    "a pickle of the newest protocol": lambda code: pickle.dumps(code),
    "code at the top": stored,
    "code beside the tensors": lambda code: stored({"model": {"a": torch.zeros(1)}, "args": code}),
    "code under model": lambda code: stored({"model": code}),
    "code under state_dict": lambda code: stored({"state_dict": {"a": code}}),
    "code three levels down": lambda code: stored({"model": {"state_dict": {"net": {"a": code}}}}),
    "code in a list": lambda code: stored({"model": [[(code,)]]}),
    "code as a key": lambda code: stored({(code,): torch.zeros(1)}),
    "code in a legacy file": lambda code: stored({"model": code}, _use_new_zipfile_serialization=False),
    "code in a tar file": tar,
    "an array of objects": lambda code: stored({"model": np.array([code], dtype=object)}),
    "a whole module": lambda code: stored(torch.nn.Linear(1, 1)),
    "TorchScript": lambda code: archive(**{"data.pkl": pickle.dumps(code), "constants.pkl": b"", "version": b"3"}),
    "a zip bomb of 200 MB": lambda code: archive(
        zipfile.ZIP_DEFLATED, **{"data.pkl": b"\x80\x02}.", "data__0": bytes(200_000_000), "version": b"3"}
    ),
    "a dictionary that contains itself": own_parent,
    "a storage that says it is huge": huge_storage,
    "a view of 10^12 numbers into one": lambda code: stored({"fc.weight": torch.zeros(1).expand(10**6, 10**6)}),
    "numbers as names": lambda code: stored({1: torch.zeros(1)}),
    "no tensors": lambda code: stored({"model": {"a": 1}}),
    "nothing": lambda code: b"",
}


def convert(source: str, output: Path, *more: str) -> None:
    main([source, "--architecture", "resnet18", "--output", str(output), *more])


def refusal(capsys, *arguments) -> str:
    with pytest.raises(SystemExit) as exit:
        convert(*arguments)
    error = capsys.readouterr().err
    assert exit.value.code == 2 and error.count("\n") == 1
    return error


@attack("refused")
@pytest.mark.parametrize("case", HIDDEN)
@pytest.mark.filterwarnings("ignore")
def test_convert(case, tmp_path, capsys):
    """training.convert of"""
    (tmp_path / "x.pt").write_bytes(HIDDEN[case](Code(tmp_path / "executed")))
    with costing() as cost:
        error = refusal(capsys, str(tmp_path / "x.pt"), tmp_path / "ours")
    assert "expected" in error and not (tmp_path / "executed").exists() and not (tmp_path / "ours").exists()
    assert cost.peak < MEMORY


@attack("refused")
def test_convert_what_takes_too_long(tmp_path, capsys, monkeypatch):
    """training.convert of a file that takes longer to read than allowed"""
    monkeypatch.setattr(foreign, "SECONDS", 0.2)
    monkeypatch.setattr(torch, "load", lambda *_, **__: [None for _ in iter(int, 1)])
    (tmp_path / "x.pt").write_bytes(b"x")
    assert "it takes longer than 0.2 s to read" in refusal(capsys, str(tmp_path / "x.pt"), tmp_path / "ours")


@attack("refused")
def test_convert_what_is_too_large(tmp_path, capsys, monkeypatch):
    """training.convert of a file of more bytes than allowed"""
    monkeypatch.setattr(foreign, "LARGEST", 2**20)
    (tmp_path / "x.pt").write_bytes(bytes(2**20 + 1))
    assert "expected at most 1 MB, got 1 MB" in refusal(capsys, str(tmp_path / "x.pt"), tmp_path / "ours")


@attack("refused")
def test_convert_weights_that_are_not_finite(tmp_path):
    """saving a model whose answer is NaN"""
    with pytest.raises(ValueError, match="^logits: expected a list of finite numbers"):
        Seal({}, [float("nan")]).write(tmp_path / "seal.json")


@pytest.fixture(scope="module")
def elsewhere():
    """A server that answers with bytes without end, with a redirection, or with a file that is no checkpoint."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(302 if "to=" in self.path else 200)
            if "to=" in self.path:
                self.send_header("Location", self.path.partition("to=")[2])
            self.end_headers()
            if "endless" in self.path:
                try:
                    while True:
                        self.wfile.write(bytes(2**16))
                except OSError:
                    return
            self.wfile.write(b"no checkpoint")

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


URLS = {
    "an address where a file is expected": ("{elsewhere}/x.pt", (), "0", "or --url"),
    "a file as an address": ("file:///etc/passwd", ("--url",), "0", "expected http:// or https://"),
    "ftp": ("ftp://127.0.0.1/x", ("--url",), "0", "expected http:// or https://"),
    "a redirection to a file": ("{elsewhere}/to=file:///etc/passwd", ("--url",), "0", "can be fetched"),
    "a download without end": ("{elsewhere}/endless", ("--url",), "0", "expected at most 1 MB"),
    "what is no checkpoint": ("{elsewhere}/x.pt", ("--url",), "0", "tensors only"),
    "a private address, in public mode": ("{elsewhere}/x.pt", ("--url",), "1", "its address is not on the internet"),
    "a private address by name, in public mode": (
        "{named}/x.pt",
        ("--url",),
        "1",
        "its address is not on the internet",
    ),
}


@attack("refused")
@pytest.mark.parametrize("case", URLS)
def test_convert_an_address(case, elsewhere, tmp_path, capsys, monkeypatch):
    """training.convert of"""
    url, how, public, words = URLS[case]
    monkeypatch.setenv(access.VARIABLE, public)
    monkeypatch.setattr(foreign, "LARGEST", 2**20)
    url = url.format(elsewhere=elsewhere, named=elsewhere.replace("127.0.0.1", "localhost"))
    with pytest.raises(SystemExit):
        main([*how, url, "--architecture", "resnet18", "--output", str(tmp_path / "ours")])
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1 and not (tmp_path / "ours").exists()
