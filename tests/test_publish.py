"""Publishing, to a real server that speaks the Hub's protocol: strangers can use what arrives there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from synth import checkpoint, hub
from tests.conftest import make_model
from tests.hub_client import ROOT


@pytest.mark.parametrize("name", hub.bundled())
def test_strangers_get_the_pictures_of_every_bundled_checkpoint(owner, stranger, tmp_path, name):
    folder = shutil.copytree(hub.BUNDLED / name, tmp_path / name)
    printed = owner.publish(folder, "--repo", f"owner/{name}")["printed"]
    assert "at revision" in printed and ("start.safetensors" in printed) == (name in hub.selectable())
    stranger.forget()
    theirs = stranger("picture", name=f"owner/{name}")["value"]
    assert theirs == owner("picture", name=str(hub.BUNDLED / name))["value"]


def test_an_incomplete_set_is_refused_before_anything_is_sent(hub_server, owner, tmp_path):
    folder = shutil.copytree(hub.BUNDLED / hub.DEFAULT, tmp_path / "incomplete")
    before = len(hub_server.log())
    for name in ("decoder.safetensors", "decoder.json", "config.json"):
        outcome = owner("publish_without", name=name, folder=str(folder))
        assert outcome["exit"] == 2 and f"is incomplete: no {name}" in outcome["printed"]
    assert len(hub_server.log()) == before + 1  # the request for this very list


def test_publishing_again_sends_only_what_changed(hub_server, owner, evaluated, published, tmp_path):
    before = len(hub_server.log())
    printed = owner.publish(evaluated, "--repo", "owner/tiny")["printed"]
    sent = [path for method, path, _ in hub_server.log()[before:] if method == "PUT" or "/commit/" in path]
    assert sent == [] and printed.split()[-1] == published[2]
    twin = shutil.copytree(evaluated, tmp_path / "twin")
    evaluation = checkpoint.load_evaluation(twin)
    evaluation["accuracy"]["clean"]["value"] = 0.25
    checkpoint.add(twin, evaluation=evaluation)
    before = len(hub_server.log())
    printed = owner.publish(twin, "--repo", "owner/tiny")["printed"]
    assert not [path for method, path, _ in hub_server.log()[before:] if method == "PUT"]
    assert printed.split()[-1] != published[2]


def test_a_private_checkpoint_is_for_its_owner(owner, stranger, evaluated):
    owner.publish(evaluated, "--repo", "owner/secret", "--private")
    assert "value" in owner("load", name="owner/secret")
    error = stranger("load", name="owner/secret")["error"]
    assert "expected a Hub repository that exists and that your token may read" in error


def test_all_bundled_ones_and_a_collection(owner, evaluated):
    for _ in range(2):
        printed = owner("publish_all", bundled=str(evaluated.parent))["printed"]
        assert "owner/tiny is at revision" in printed and "/collections/owner/robust-classifiers" in printed


def test_a_dry_run_sends_nothing(hub_server, owner, evaluated):
    before = len(hub_server.log())
    printed = owner.publish(evaluated, "--repo", "owner/dry", "--dry-run")["printed"]
    assert "model.safetensors" in printed and "seal.json" in printed and len(hub_server.log()) == before + 1


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
    checkpoint.save(tmp_path / "bare", make_model(info={"name": "bare"}))
    outcome = owner.publish(tmp_path / "bare", *arguments)
    assert outcome["exit"] == 2 and words in outcome["printed"]


def test_nobody_publishes_without_a_token(stranger, evaluated):
    outcome = stranger.publish(evaluated, "--repo", "owner/tiny")
    sentence = "publishing owner/tiny failed (401): no valid token; run hf auth login"
    assert outcome["exit"] == 2 and sentence in outcome["printed"]


def test_a_commit_meanwhile_is_one_sentence(owner, evaluated):
    error = owner("publish_stale", folder=str(evaluated), repo="owner/stale")["error"]
    assert error == "publishing owner/stale failed (412): somebody else committed meanwhile; run it again"


def test_the_app_starts_from_just_what_a_space_would_hold(hub_server, stranger, owner, published, tmp_path):
    owner.publish("--space", "owner/app", "--repo", published[0])
    app = tmp_path / "app"
    stranger("download_space", repo="owner/app", folder=str(app))
    assert (app / "checkpoints" / "hub.txt").read_text().strip() == published[0]
    settings = {"HF_ENDPOINT": hub_server.address, "HF_HOME": str(stranger.home), "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_OFFLINE": "0", "PYTHONPATH": str(app), "PYTHONSAFEPATH": "1"}
    command, pipes = [sys.executable, ROOT / "tests" / "space_start.py"], {"capture_output": True, "text": True}
    run = subprocess.run(command, cwd=app, env=os.environ | settings, timeout=120, **pipes)
    assert run.stdout.split() == [published[0], "tiny"], run.stderr[-2000:]
