"""Names that a stranger types: folders of the server, repositories of any size, and questions by error text."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from synth import TASKS, access, downloads, hub
from synth.record import Record
from synth.web import visitors
from synth.web.checkpoints import load
from tests.abuse.measure import attack
from tests.conftest import save_model


@pytest.fixture
def public(monkeypatch):
    """The public mode, with "tiny" and "plain" bundled."""
    monkeypatch.setenv(access.VARIABLE, "1")


NAMES = {
    "a folder that is a checkpoint": "{folder}/secret",
    "a folder that is none": "{folder}/empty",
    "a folder that does not exist": "{folder}/nowhere",
    "the root": "/",
    "..": "..",
    "../..": "../..",
    "a bundled one by a detour": "../{bundled}/tiny",
    "a bundled one by its path": "{bundled}/tiny",
    "a link to a folder": "{folder}/link",
    "a file of passwords": "/etc/passwd",
    "a name with a null byte": "a\0b",
    "a name of 100,000 letters": "a" * 100_000,
    "nothing": "",
    "an address": "http://127.0.0.1/x",
    "markup": "<script>alert(1)</script>",
}


@attack("refused")
@pytest.mark.parametrize("case", NAMES)
def test_name(case, public, tiny, tmp_path):
    """as name of a checkpoint, in public mode:"""
    save_model(tmp_path / "secret")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    name = NAMES[case].format(folder=tmp_path, bundled=hub.BUNDLED)
    with pytest.raises(ValueError, match=r"^checkpoint: expected [^\n]+$") as error:
        hub.load(name)
    said = re.sub(r"got .*", "", str(error.value))
    other = "" if name.count("/") == 1 else "one of plain, tiny, or "
    assert said == f"checkpoint: expected {other}owner/name on the Hub, ", "the same whatever is on the disk"


@attack("refused")
@pytest.mark.parametrize("there", ["exists", "does not exist"])
def test_a_relative_folder(there, public, tiny, tmp_path, monkeypatch):
    """a relative folder of two parts, which could be owner/name, that"""
    if there == "exists":
        save_model(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError) as error:
        hub.load("owner/name")
    assert str(error.value) == "checkpoint: expected a reachable Hub repository, got 'owner/name'", "tests are offline"


@attack("refused")
def test_a_second_checkpoint_that_is_a_folder(public, tiny, tmp_path):
    """a folder as the second checkpoint of a run, and of a dropped picture"""
    save_model(tmp_path / "secret")
    task, settings = TASKS["reconstruction"], {"picture": Path(__file__), "beside": str(tmp_path / "secret")}
    with pytest.raises(ValueError, match=r"^(beside|picture): expected"):
        task.check(hub.load("tiny"), **settings)
    with pytest.raises(ValueError, match=r"^beside: expected one of plain, tiny, or owner/name"):
        Record("reconstruction", "tiny", settings | {"picture": Image()}).restore(task, hub.load("tiny"))


def Image():
    from tests.conftest import draw_picture

    return draw_picture()


@attack("harmless")
def test_local_mode_still_takes_folders(tmp_path):
    """the same folder in local mode, whose owner may name it"""
    model = save_model(tmp_path / "mine")
    assert hub.load(tmp_path / "mine").classes == model.classes


@attack("refused")
def test_thrashing(public, tiny, monkeypatch):
    """one visitor who asks for other checkpoints again and again"""
    monkeypatch.setattr(visitors, "current", lambda: "203.0.113.1")
    monkeypatch.setattr(visitors, "_loads", visitors.Rate())
    from synth.web.checkpoints import load_to

    for _ in range(visitors.LOADS):
        load_to.cache_clear()
        load("tiny")
    load_to.cache_clear()
    with pytest.raises(ValueError, match=r"^checkpoint: expected at most 6 other ones a minute, got one more"):
        load("tiny")
    monkeypatch.setattr(visitors, "current", lambda: "203.0.113.2")
    assert load("tiny") is load("tiny"), "others go on"


@pytest.fixture
def visit(stranger, hub_server):
    """``visit(name, **limits)``: load it in public mode in a process without a token, with other limits."""
    hub_server.misbehave()
    shutil.rmtree(stranger.home / "synth-visitors", ignore_errors=True)
    return lambda name, **limits: stranger("visit", name=name, limits=limits)


def asked(hub_server) -> list[str]:
    return [path for method, path, *_ in hub_server.log() if "/resolve/" in path]


@attack("refused")
def test_a_repository_that_is_too_large(visit, published, hub_server):
    """a repository that is larger than allowed: nothing of it is fetched"""
    before = len(asked(hub_server))
    error = visit(published[0], LARGEST=50_000)["error"]
    assert re.fullmatch(r"checkpoint: expected at most 0 MB, got 'owner/tiny' with \d+ MB", error)
    assert len(asked(hub_server)) == before


@attack("refused")
def test_a_repository_of_too_many_files(visit, published, hub_server):
    """a repository of more files than allowed: nothing of it is fetched"""
    before = len(asked(hub_server))
    assert "expected at most 2 files, got 'owner/tiny' with" in visit(published[0], MOST_FILES=2)["error"]
    assert len(asked(hub_server)) == before


@attack("refused")
def test_a_repository_that_is_no_checkpoint(visit, owner, tmp_path):
    """a repository without weights: nothing of it is fetched"""
    (tmp_path / "x.json").write_text("{}")
    owner("publish_files", repo="owner/other", files={"config.json": str(tmp_path / "x.json")})
    assert "expected a repository with model.safetensors, seal.json" in visit("owner/other")["error"]


@attack("refused")
def test_the_owners_private_repository(visit, owner, evaluated, hub_server):
    """a private repository that the server's own token could read, and one that does not exist: the same words"""
    owner.publish(evaluated, "--repo", "owner/hidden", "--private")
    assert "value" in owner("load", name="owner/hidden"), "the owner's token reads it, and it is in the owner's cache"
    private = owner("visit", name="owner/hidden", limits={})["error"]
    nowhere = owner("visit", name="owner/nowhere", limits={})["error"]
    assert private.replace("hidden", "nowhere") == nowhere
    assert nowhere.endswith("expected a Hub repository that exists and that everybody may read, got 'owner/nowhere'")


@attack("harmless")
def test_a_revision_that_changes(visit, stranger, owner, published, evaluated):
    """a repository whose author changes it after it was looked at: the process keeps to the first revision"""
    first = visit(published[0])["value"]
    assert first["weights"] == pytest.approx(published[1]) and re.fullmatch(r"[0-9a-f]{40}", first["revision"])
    other = evaluated.parent / "other"
    shutil.copytree(evaluated, other, dirs_exist_ok=True)
    (other / "evaluation.json").write_text((evaluated / "evaluation.json").read_text() + " ")
    owner.publish(other, "--repo", published[0])
    assert stranger("visit", name=published[0], limits={})["value"]["revision"] == first["revision"]


@attack("harmless")
def test_a_share_of_the_disk(visit, stranger, owner, published, evaluated):
    """more checkpoints than fit into the share of the disk: the one that was unused for longest leaves"""
    for name in ("owner/a", "owner/b"):
        owner.publish(evaluated, "--repo", name)
    folder = stranger.home / "synth-visitors"
    for name in (published[0], "owner/a", published[0], "owner/b"):
        assert "value" in stranger("visit", name=name, limits={"SHARE": 1_300_000}), name
        for path in folder.glob("models--*"):  # time goes by
            status = path.stat()
            os.utime(path, (status.st_atime, status.st_mtime - 10))
    assert {path.name for path in folder.glob("models--*")} == {"models--owner--tiny", "models--owner--b"}
    assert downloads.SHARE >= 2 * downloads.LARGEST
