"""Files of other projects: fetched within bounds of size and time, and read as tensors alone."""

from __future__ import annotations

import http.client
import ipaddress
import signal
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from torch import Tensor

from synth import access
from synth.tensor_files import read_tensors

LARGEST = 4 * 2**30
"""Bytes of a file."""
SECONDS = 600
"""That fetching a file may take, and reading it."""
DEPTH = 8
"""Dictionaries around the tensors."""
NESTS = ("model", "state_dict", "net", "model_state_dict")
SAFE = [np._core.multiarray.scalar, np.dtype, *{type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?")}]
"""Harmless types that checkpoints hold beside tensors: numbers of numpy."""
CHUNK = 2**20


def read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, however nested; ValueError for one that is too large or slow, or holds code."""
    try:
        _check_size(path.stat().st_size)
        with _time_limit(SECONDS):
            if path.suffix == ".safetensors":
                return read_tensors(path, None, lambda shapes: None)
            _check_archive(path)
            with torch.serialization.safe_globals(SAFE):
                content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpicklers raise many kinds
        reason = " ".join(str(error).split())[:120]
        raise ValueError(f"file: expected a checkpoint of tensors only, got {path.name[:120]} ({reason})") from None
    for _ in range(DEPTH):
        nest = next((n for n in NESTS if isinstance(content, dict) and isinstance(content.get(n), dict)), None)
        content = content if nest is None else content[nest]
    tensors = content.items() if isinstance(content, dict) else ()
    named = {key: value for key, value in tensors if isinstance(value, Tensor) and isinstance(key, str)}
    if not named:
        raise ValueError(f"file: expected named tensors, got {path.name[:120]}")
    return named


def fetch(source: str) -> Path:
    """The file ``source``: a path, or OWNER/NAME/FILE on the Hub; ValueError if there is no such thing."""
    if not Path(source).exists() and source.count("/") == 2 and ":" not in source:
        owner, name, file = source.split("/")
        try:
            _check_size(get_hf_file_metadata(hf_hub_url(f"{owner}/{name}", file)).size or 0)
            return Path(hf_hub_download(f"{owner}/{name}", file))
        except OSError as error:  # the Hub client's errors are OSErrors
            raise ValueError(f"file: expected one that can be fetched, got {source[:120]} ({error})") from None
    if not Path(source).is_file():
        raise ValueError(f"file: expected a path or OWNER/NAME/FILE on the Hub, or --url, got {source[:120]!r}")
    return Path(source)


def fetch_url(url: str, folder: Path) -> Path:
    """Download ``url``, http or https, into ``folder``; in public mode from no address of a private network.

    ValueError, one sentence, for what is too large, too slow or not there.
    """
    parts, ends = urlsplit(url), time.monotonic() + SECONDS
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url: expected http:// or https://, got {url[:120]!r}")
    path = folder / (Path(parts.path).name or "file")[:120]
    try:
        with _opener().open(url, timeout=30) as answer, path.open("wb") as file:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                _check_size(file.tell())
                if time.monotonic() > ends:
                    raise ValueError(f"url: expected a download within {SECONDS} s, got {file.tell():,} bytes by then")
    except (OSError, http.client.HTTPException) as error:
        raise ValueError(f"url: expected one that can be fetched, got {url[:120]} ({error})") from None
    return path


def _opener() -> urllib.request.OpenerDirector:
    """Follows redirections to http and https alone: no files, no FTP, no data."""
    opener = urllib.request.OpenerDirector()
    errors = (urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor, urllib.request.UnknownHandler)
    for handler in (_Http, _Https, urllib.request.HTTPRedirectHandler, *errors):
        opener.add_handler(handler())
    return opener


class _Checked(http.client.HTTPConnection):
    """In public mode, asks the address that it is connected to only if that is on the internet, whatever its name."""

    def connect(self) -> None:
        super().connect()
        peer = self.sock.getpeername()[0]
        if access.is_public() and not ipaddress.ip_address(peer.split("%")[0]).is_global:
            self.close()
            raise OSError("its address is not on the internet")


class _CheckedTls(_Checked, http.client.HTTPSConnection):
    pass


class _Http(urllib.request.HTTPHandler):
    def http_open(self, request):
        return self.do_open(_Checked, request)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, request):
        return self.do_open(_CheckedTls, request)


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise ValueError(f"file: expected at most {LARGEST >> 20:,} MB, got {size / 2**20:,.0f} MB")


def _check_archive(path: Path) -> None:
    """ValueError for a zip file that unpacks to more than it holds: PyTorch writes none that is compressed."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        if any(one.compress_type != zipfile.ZIP_STORED for one in entries):
            raise ValueError("its archive is compressed, which PyTorch's are not")
        if sum(one.file_size for one in entries) > path.stat().st_size:
            raise ValueError("its archive unpacks to more than it holds")


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """TimeoutError after ``seconds``; on the main thread alone, where commands run."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_):
        raise TimeoutError(f"it takes longer than {seconds:g} s to read")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
