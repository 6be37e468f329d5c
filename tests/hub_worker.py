"""The Hub's client for the tests, in a process of its own, since it reads its settings once, when it is imported.

It reads {"action": a function below, ...: its arguments} and answers with what happened, a JSON line each.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tempfile
import time
import types
from pathlib import Path
from unittest import mock

from huggingface_hub import HfApi, file_download, hf_hub_download, snapshot_download
from huggingface_hub.utils import _http

import synth
from synth import access, checkpoint, downloads, hub, tensor_files
from training import publish as publishing

_http.time = file_download.time = types.SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})  # retry at once


def load(name: str, **more) -> dict:
    """Weights of the checkpoint, and the names of the files that were hashed."""
    hashed, verify = [], tensor_files.verify
    with mock.patch.object(tensor_files, "verify", lambda path, *more: hashed.append(path.name) or verify(path, *more)):
        model = hub.load(name, **more)
    return {"weights": model.head.weight.flatten().tolist(), "hashed": hashed}


def visit(name: str, limits: dict) -> dict:
    """As somebody on the internet; with other ``limits`` of ``synth.downloads``."""
    with mock.patch.dict(os.environ, {access.VARIABLE: "1"}), mock.patch.multiple(downloads, **{"SECONDS": 3} | limits):
        model = hub.load(name)
    return {"weights": model.head.weight.flatten().tolist(), "revision": model.folder.name}


def picture(name: str) -> dict:
    """What the app needs of the checkpoint, and a checksum of a picture by it, decoded where it has decoders."""
    model = hub.load(name)
    start = "gaussian" if "gaussian" in model.starts else "noise"
    frame = synth.generation(model, count=1, steps=1, start=start)
    if model.decoders:
        frame = synth.reconstruction(model, picture=frame.images[0], steps=1, beside="none")
    pixels = b"".join(image.tobytes() for image in frame.images)
    examples, features = checkpoint.examples(model.folder), checkpoint.load_features(model.folder)
    contents = {"decoders": list(model.decoders), "examples": list(examples), "features": len(features)}
    return contents | {"pixels": hashlib.sha256(pixels).hexdigest()}


def progress(name: str) -> list:
    """The progress of a download."""
    steps = []
    hub.folder(name, progress=lambda *step: steps.append(step))
    return steps


def publish(arguments: list[str], token: str) -> None:
    """With another token than the process has, if one is given."""
    with mock.patch.dict(os.environ, {"HF_TOKEN": token} if token else {}):
        publishing.main(arguments)


def publish_all(bundled: str) -> None:
    """With ``bundled`` in place of the bundled checkpoints."""
    with mock.patch.object(hub, "BUNDLED", Path(bundled)):
        publishing.main(["--all", "--repo", "owner"])


def publish_page(folder: str, repo: str) -> None:
    """With ``folder`` in place of the page that is made for it."""
    with mock.patch.object(
        publishing.browser, "make", lambda page, _: shutil.copytree(folder, page, dirs_exist_ok=True)
    ):
        publishing.main(["--static-space", repo])


def publish_without(name: str, folder: str) -> None:
    """As if the table of files had forgotten one."""
    kept = checkpoint.DOWNLOADED[:]
    checkpoint.DOWNLOADED.remove(name)
    try:
        publishing.main([folder, "--repo", "owner/incomplete"])
    finally:
        checkpoint.DOWNLOADED[:] = kept


def publish_stale(folder: str, repo: str) -> None:
    """Somebody else commits while we publish."""

    class Slow(HfApi):
        def repo_info(self, *arguments, **more):
            newest = super().repo_info(*arguments, **more)
            publishing.publish(HfApi(), repo, {"other.json": Path(folder) / "config.json"})
            return newest

    with tempfile.TemporaryDirectory() as copy:
        publishing.publish(Slow(), repo, publishing.checkpoint_files(Path(folder), Path(copy)))


def load_on_full_disk(name: str) -> None:
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    http_get, file_download.http_get = file_download.http_get, full
    try:
        hub.load(name)
    finally:
        file_download.http_get = http_get


def publish_files(repo: str, files: dict[str, str], hardware: str | None = None) -> None:
    publishing.publish(HfApi(), repo, {name: Path(path) for name, path in files.items()}, hardware=hardware)


def published_card(repo: str) -> str:
    return Path(hf_hub_download(repo, "README.md")).read_text()


def run_card(repo: str, folder: str) -> str:
    """What the snippets of the published card print, in ``folder``."""
    with contextlib.chdir(folder):
        snapshot_download(repo, local_dir=".")
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            for snippet in re.findall(r"```python\n(.*?)\n```", Path("README.md").read_text(), re.DOTALL):
                exec(snippet, {})
    return printed.getvalue()


def download_space(repo: str, folder: str) -> None:
    snapshot_download(repo, repo_type="space", local_dir=folder)


def answer(line: str) -> dict:
    request, printed = json.loads(line), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            outcome = {"value": globals()[request.pop("action")](**request)}
        except SystemExit as error:
            outcome = {"exit": error.code}
        except ValueError as error:
            outcome = {"error": str(error)}
        except BaseException as error:
            outcome = {"crash": repr(error)}
    return outcome | {"printed": printed.getvalue()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(answer(line)), flush=True)
