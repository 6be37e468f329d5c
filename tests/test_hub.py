"""Checkpoints on the Hub, against a real server that speaks its protocol, with the unmodified client.

The client runs in a process of its own, since it reads its settings once, when it is imported.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from safetensors.torch import load_file

from synth import checkpoint as checkpoints
from tests.conftest import make_model, make_start

ROOT = Path(__file__).resolve().parent.parent
WORKER = """
import io, json, sys, contextlib, time, types
from huggingface_hub import file_download
from huggingface_hub.utils import _http
_http.time = file_download.time = types.SimpleNamespace(**vars(time) | {"sleep": lambda seconds: None})  # try at once
for line in sys.stdin:
    names, said = {}, io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            exec(json.loads(line), names)
        told = {"value": names.get("value"), "said": said.getvalue()}
    except SystemExit as error:
        told = {"exit": str(error.code), "said": said.getvalue()}
    except ValueError as error:
        told = {"error": str(error), "said": said.getvalue()}
    except BaseException as error:
        told = {"crash": repr(error), "said": said.getvalue()}
    print(json.dumps(told), flush=True)
"""
FIGURES = {
    "checkpoint": "tiny",
    "runs": {"python": {"minutes": 1, "machine": "a test", "version": "0"}},
    "accuracy": {"clean": {"value": 0.5, "count": 4, "interval": [0.1, 0.9], "command": "python"}},
}


class Server:
    """The Hub of one test module."""

    def __init__(self, process: subprocess.Popen):
        self.process, self.address = process, process.stdout.readline().strip()

    def misbehave(self, *faults: dict) -> None:
        self._ask("/faults", json.dumps(faults).encode())

    def log(self) -> list:
        return json.loads(self._ask("/log"))

    def _ask(self, path: str, body: bytes | None = None) -> bytes:
        with urllib.request.urlopen(self.address + path, body) as answer:
            return answer.read()


class Client:
    """A process with the Hub's client, a cache of its own and a token or none."""

    def __init__(self, address: str, home: Path, token: str):
        self.home = home
        settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1"}
        settings |= {"HF_HUB_OFFLINE": "0", "HF_HUB_DOWNLOAD_TIMEOUT": "3", "HF_HUB_ETAG_TIMEOUT": "3"}
        settings |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0", "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
        self.process = subprocess.Popen([sys.executable, "-c", WORKER], cwd=ROOT, env=os.environ | settings, **pipes)

    def __call__(self, code: str) -> dict:
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        assert "crash" not in told, told
        return told

    def load(self, name: str, **more) -> dict:
        """The first weight of the checkpoint, or the error."""
        return self(
            "from synth import hub\n"
            f"model = hub.load({name!r}, **{more!r})\nvalue = model.head.weight.flatten().tolist()"
        )

    def publish(self, *arguments: str) -> dict:
        return self(f"from training.publish import main\nmain({list(map(str, arguments))!r})")

    def forget(self) -> None:
        shutil.rmtree(self.home / "hub", ignore_errors=True)


@pytest.fixture(scope="module")
def server():
    command = [sys.executable, ROOT / "tests" / "hub_server.py"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Server(process)
        process.kill()


def client(server: Server, home: Path, token: str):
    with (one := Client(server.address, home, token)).process as process:
        yield one
        process.stdin.close()


@pytest.fixture(scope="module")
def owner(server, tmp_path_factory):
    yield from client(server, tmp_path_factory.mktemp("owner"), "hf_owner")


@pytest.fixture(scope="module")
def stranger(server, tmp_path_factory):
    yield from client(server, tmp_path_factory.mktemp("stranger"), "")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A folder as training, evaluation and sheets leave it."""
    recipe = {"epsilon": 0.5, "attack_steps": 1, "attack_step_size": 0.5, "attack_start": 0, "batch_size": 16}
    recipe |= {"learning_rate": 0.1, "schedule": "onecycle", "weight_decay": 0, "ema": 0, "padding": 2}
    info = {"name": "tiny", "data": "toy", "recipe": recipe, "epochs": 1, "minutes": 1, "machine": "a test"}
    folder, model = tmp_path_factory.mktemp("made") / "tiny", make_model(info=info)
    model.start_tensors = make_start()
    checkpoints.save(folder, model)
    (folder / "evaluation.json").write_text(json.dumps(FIGURES))
    return folder


@pytest.fixture(scope="module")
def published(owner, checkpoint):
    """The name under which the checkpoint is on the Hub, its weights, and its revision."""
    told = owner.publish(checkpoint, "--repo", "owner/tiny", "--revision-tag", "v1")
    weights = load_file(checkpoint / "model.safetensors")["backbone.fc.weight"].float()
    return "owner/tiny", weights.flatten().tolist(), told["said"].split()[-1]


@pytest.fixture(autouse=True)
def well_behaved(server, owner, stranger):
    """Every test begins with an honest server and an empty cache."""
    server.misbehave()
    stranger.forget()


def test_what_is_published_comes_back(stranger, published):
    name, weights, revision = published
    assert len(revision) == 40
    for more in ({}, {"revision": "v1"}, {"revision": revision}):
        stranger.forget()
        assert stranger.load(name, **more)["value"] == pytest.approx(weights)


def test_progress_is_told_in_bytes(stranger, published):
    code = f"from synth import hub\nvalue = []\nhub.folder({published[0]!r}, progress=lambda *at: value.append(at))"
    told = stranger(code)["value"]
    assert told[-1][0] == told[-1][1] > 200_000 and told == sorted(told)


def test_a_second_load_asks_nobody(server, stranger, published):
    stranger.load(published[0])
    before = len(server.log())
    assert "value" in stranger.load(published[0])
    assert len(server.log()) == before + 1  # the request for this very list


def test_publishing_again_sends_only_what_changed(server, owner, checkpoint, published):
    before = len(server.log())
    told = owner.publish(checkpoint, "--repo", "owner/tiny")
    sent = [path for method, path, _ in server.log()[before:] if method == "PUT" or "/commit/" in path]
    assert sent == [] and told["said"].split()[-1] == published[2]
    twin = checkpoint.with_name("twin")
    shutil.copytree(checkpoint, twin, dirs_exist_ok=True)
    figures = json.loads((twin / "evaluation.json").read_text())
    figures["accuracy"]["clean"]["value"] = 0.25
    (twin / "evaluation.json").write_text(json.dumps(figures))
    before = len(server.log())
    told = owner.publish(twin, "--repo", "owner/tiny")
    assert not [path for method, path, _ in server.log()[before:] if method == "PUT"]
    assert told["said"].split()[-1] != published[2]


def test_a_private_checkpoint_is_for_its_owner(owner, stranger, checkpoint):
    owner.publish(checkpoint, "--repo", "owner/secret", "--private")
    assert "value" in owner.load("owner/secret")
    assert (
        "expected a Hub repository that exists and that your token may read" in stranger.load("owner/secret")["error"]
    )


def test_all_bundled_ones_and_a_collection(server, owner, checkpoint):
    code = f"from pathlib import Path\nfrom synth import hub\nhub.BUNDLED = Path({str(checkpoint.parent)!r})\n"
    code += "from training.publish import main\nmain(['--all', '--repo', 'owner'])"
    for _ in range(2):
        said = owner(code)["said"]
        assert "owner/tiny is at revision" in said and "/collections/owner/robust-classifiers" in said


def test_a_dry_run_sends_nothing(server, owner, checkpoint):
    before = len(server.log())
    said = owner.publish(checkpoint, "--repo", "owner/dry", "--dry-run")["said"]
    assert "model.safetensors" in said and "seal.json" in said and len(server.log()) == before + 1


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--repo", "owner/new"], "run python -m training.evaluate first"),
        (["--repo", "new"], "repo: expected OWNER/NAME, got 'new'"),
        ([], "repo: expected OWNER/NAME (with --all, OWNER), got nothing"),
        (["--all", "--repo", "owner"], "expected one of CHECKPOINT, --all and --space"),
    ],
)
def test_what_is_not_fit_to_publish_is_refused(owner, tmp_path, arguments, words):
    checkpoints.save(tmp_path / "bare", make_model(info={"name": "bare"}))
    told = owner.publish(tmp_path / "bare", *arguments)
    assert told["exit"] == "2" and words in told["said"]


def test_nobody_publishes_without_a_token(stranger, checkpoint):
    told = stranger.publish(checkpoint, "--repo", "owner/tiny")
    assert told["exit"] == "2" and "failed (401): no valid token; run hf auth login" in told["said"]


def test_a_commit_on_a_stale_parent_is_told(owner, checkpoint):
    code = "from pathlib import Path\nfrom huggingface_hub import HfApi\n"
    code += "from training.publish import checkpoint_files, publish\n"
    code += (
        "class Slow(HfApi):\n    def repo_info(self, repo, **more):\n        there = super().repo_info(repo, **more)\n"
    )
    code += "        publish(HfApi(), repo, {'other.json': folder / 'config.json'})\n        return there\n"
    code += f"folder = Path({str(checkpoint)!r})\npublish(Slow(), 'owner/stale', checkpoint_files(folder))"
    told = owner(code)
    assert "somebody else committed meanwhile" in told["error"] and "hf_owner" not in told["error"]


WEIGHTS = "/resolve/"
FAULTS = {
    "no such repository": ("owner/none", [], "expected a Hub repository that exists"),
    "server error": (None, [{"path": "/api/models", "kind": "status", "status": 500, "times": 99}], "reachable"),
    "file error": (None, [{"path": "model.safetensors", "kind": "status", "status": 500, "times": 99}], "reachable"),
    "file gone": (None, [{"path": "model.safetensors", "kind": "status", "status": 404, "times": 99}], "expected"),
    "cut for good": (
        None,
        [{"path": "model.safetensors", "method": "GET", "kind": "cut", "after": 1000, "times": 99}],
        "reachable",
    ),
    "truncated body": (
        None,
        [{"path": "model.safetensors", "method": "GET", "kind": "short", "after": 1000, "times": 99}],
        "expected",
    ),
    "tampered weights": (
        None,
        [{"path": "model.safetensors", "method": "GET", "kind": "tamper", "times": 99}],
        "differs from its checksum",
    ),
    "tampered starts": (
        None,
        [{"path": "start.safetensors", "method": "GET", "kind": "tamper", "times": 99}],
        "differs from its checksum",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_and_the_next_try_works(server, stranger, published, fault):
    name, faults, words = FAULTS[fault]
    server.misbehave(*faults)
    told = stranger.load(name or published[0])
    assert words in told["error"] and "\n" not in told["error"], told
    server.misbehave()
    if name is None:
        assert stranger.load(published[0])["value"] == pytest.approx(published[1])


def test_a_cut_connection_is_resumed(server, stranger, published):
    server.misbehave({"path": "model.safetensors", "method": "GET", "kind": "cut", "after": 50_000, "times": 1})
    assert stranger.load(published[0])["value"] == pytest.approx(published[1])


def test_an_unknown_revision_is_told(stranger, published):
    assert "revision: expected one of owner/tiny, got 'v9'" in stranger.load(published[0], revision="v9")["error"]


def test_a_damaged_cache_is_repaired(stranger, published):
    stranger.load(published[0])
    weights = next((stranger.home / "hub").rglob("model.safetensors"))
    weights.resolve().write_bytes(weights.read_bytes()[:-1] + b"x")
    assert stranger.load(published[0])["value"] == pytest.approx(published[1])


def test_a_full_disk_is_told(stranger, published):
    code = "import errno, builtins\nimport huggingface_hub.file_download as d\nfrom synth import hub\n"
    code += "def full(*a, **k): raise OSError(errno.ENOSPC, 'No space left on device')\n"
    code += "kept, d.http_get = d.http_get, full\n"
    code += f"try:\n    hub.load({published[0]!r})\nfinally:\n    d.http_get = kept"
    assert "no space is left on the disk" in stranger(code)["error"]
    assert stranger.load(published[0])["value"] == pytest.approx(published[1])


def test_two_processes_may_download_at_once(server, stranger, published, tmp_path):
    for other in client(server, stranger.home, ""):
        code = f"from synth import hub\nvalue = hub.load({published[0]!r}).head.weight.flatten().tolist()"
        for one in (stranger, other):
            one.process.stdin.write(json.dumps(code) + "\n")
            one.process.stdin.flush()
        told = [json.loads(one.process.stdout.readline()) for one in (stranger, other)]
        assert told[0]["value"] == told[1]["value"] == pytest.approx(published[1])


def test_the_app_starts_from_just_what_a_space_would_hold(server, stranger, owner, published, tmp_path):
    owner.publish("--space", "owner/app", "--repo", published[0])
    code = "from huggingface_hub import snapshot_download\n"
    code += f"value = snapshot_download('owner/app', repo_type='space', local_dir={str(tmp_path / 'app')!r})"
    stranger(code)
    assert (tmp_path / "app" / "checkpoints" / "hub.txt").read_text().strip() == published[0]
    start = "from synth.web.page import build\nfrom synth.web.checkpoints import first_checkpoint, load\n"
    start += "page = build(); print(first_checkpoint(), load(first_checkpoint()).name); page.close()"
    settings = {"HF_ENDPOINT": server.address, "HF_HOME": str(stranger.home), "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_OFFLINE": "0", "PYTHONPATH": str(tmp_path / "app"), "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-c", start],
        cwd=tmp_path / "app",
        env=os.environ | settings,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.split() == [published[0], "tiny"], done.stderr[-2000:]
