"""The comparison with other libraries: what is missing is said, what is there agrees with us."""

from __future__ import annotations

import importlib.util

import pytest

from bench import growth, peers


def test_a_missing_package_is_said_and_left_out(monkeypatch, capsys):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    peers.main(["--sizes", "32", "--networks", "mobilenet_v2", "--batches", "1", "--seconds", "0"])
    printed = capsys.readouterr().out
    for name in peers.PEERS:
        assert f"{name} is not installed and left out: `pip install {name}` adds its column." in printed
    assert "| network | pixels | batch | ours |\n" in printed and "| mobilenet_v2 | 32 | 1 |" in printed


@pytest.mark.parametrize("name", peers.PEERS)
def test_pictures_are_ours_at_the_edge_of_the_ball_too(name, monkeypatch):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    monkeypatch.setattr(peers, "EPSILON", 0.6)
    model = peers.network("mobilenet_v2", 32).double()
    x, y = peers.inputs(model, 2)
    assert peers.check({"ours": peers.ours(model), name: peers.PEERS[name](model)}, x.double(), y, 5, 1e-4) < 1e-4


def test_pictures_that_differ_are_refused():
    model = peers.network("mobilenet_v2", 32)
    x, y = peers.inputs(model, 1)
    other = {"ours": lambda x, y, steps: x, "theirs": lambda x, y, steps: x + 1e-3}
    with pytest.raises(ValueError, match=r"theirs: expected pictures within 0.0001 of ours, got 5.5e-02"):
        peers.check(other, x, y, 1, 1e-4)


def test_cost_is_measured_with_one_thing_changed_at_a_time():
    each, first, last, memory = growth.measure(**growth.USUAL | {"steps": 3, "pixels": 32, "network": "mobilenet_v2"})
    assert 0 < first < last and each < 1000 * last and memory > 100
    assert all(len(changed) <= 2 and set(changed) <= set(growth.USUAL) for changed in growth.CASES)
