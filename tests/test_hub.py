"""Checkpoints of the Hub, from a real server that speaks its protocol, with the unmodified client."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.hub_client import Client


@pytest.fixture(autouse=True)
def well_behaved(hub_server, stranger):
    """Every test begins with an honest server and an empty cache."""
    hub_server.misbehave()
    stranger.forget()


def load(client: Client, name: str, **more) -> list[float]:
    return pytest.approx(client("load", name=name, **more)["value"]["weights"])


def test_what_is_published_comes_back(stranger, published):
    name, weights, revision = published
    assert len(revision) == 40
    for more in ({}, {"revision": "v1"}, {"revision": revision}):
        stranger.forget()
        assert weights == load(stranger, name, **more)


def test_a_load_hashes_no_file_twice(stranger, published):
    for _ in ("downloaded", "cached"):
        hashed = stranger("load", name=published[0])["value"]["hashed"]
        assert sorted(hashed) == ["model.safetensors", "start.safetensors"]


def test_progress_is_in_bytes(stranger, published):
    steps = stranger("progress", name=published[0])["value"]
    assert steps[-1][0] == steps[-1][1] > 200_000 and steps == sorted(steps)


def test_a_second_load_asks_nobody(hub_server, stranger, published):
    load(stranger, published[0])
    before = len(hub_server.log())
    assert published[1] == load(stranger, published[0])
    assert len(hub_server.log()) == before + 1  # the request for this very list


FAULTS = {
    "server error": ({"path": "/api/models", "kind": "status", "status": 500}, "reachable"),
    "file error": ({"path": "model.safetensors", "kind": "status", "status": 500}, "reachable"),
    "file gone": ({"path": "model.safetensors", "kind": "status", "status": 404}, "expected"),
    "cut for good": ({"path": "model.safetensors", "method": "GET", "kind": "cut", "after": 1000}, "reachable"),
    "truncated body": ({"path": "model.safetensors", "method": "GET", "kind": "short", "after": 1000}, "expected"),
    "tampered weights": ({"path": "model.safetensors", "method": "GET", "kind": "tamper"}, "differs from its checksum"),
    "tampered starts": ({"path": "start.safetensors", "method": "GET", "kind": "tamper"}, "differs from its checksum"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_and_the_next_try_works(hub_server, stranger, published, fault):
    behaviour, words = FAULTS[fault]
    hub_server.misbehave(behaviour | {"times": 99})
    error = stranger("load", name=published[0])["error"]
    assert words in error and "\n" not in error
    hub_server.misbehave()
    assert published[1] == load(stranger, published[0])


def test_an_unknown_name_or_revision_is_one_sentence(stranger, published):
    assert "expected a Hub repository that exists" in stranger("load", name="owner/none")["error"]
    error = stranger("load", name=published[0], revision="v9")["error"]
    assert error == "revision: expected one of owner/tiny, got 'v9'"


def test_a_cut_connection_is_resumed(hub_server, stranger, published):
    hub_server.misbehave({"path": "model.safetensors", "method": "GET", "kind": "cut", "after": 50_000, "times": 1})
    assert published[1] == load(stranger, published[0])


@pytest.mark.parametrize("name", ["model.safetensors", "seal.json"])
def test_a_damaged_cache_is_repaired(stranger, published, name):
    load(stranger, published[0])
    path = next((stranger.home / "hub").rglob(name))
    path.resolve().write_bytes(path.read_bytes()[:-2] + b"xx")
    assert published[1] == load(stranger, published[0])


def test_an_incomplete_cache_is_completed(stranger, published):
    load(stranger, published[0])
    next((stranger.home / "hub").rglob("start.safetensors")).unlink()
    assert "start.safetensors" in stranger("load", name=published[0])["value"]["hashed"]


def test_a_full_disk_is_one_sentence(stranger, published):
    error = stranger("load_on_full_disk", name=published[0])["error"]
    assert error == "downloading owner/tiny failed: no space is left on the disk"
    assert published[1] == load(stranger, published[0])


def test_two_processes_may_download_at_once(hub_server, stranger, published):
    with closing(Client(hub_server.address, stranger.home, "")) as other:
        for client in (stranger, other):
            client.send("load", name=published[0])
        for client in (stranger, other):
            assert published[1] == pytest.approx(client.receive()["value"]["weights"])
