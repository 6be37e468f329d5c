"""Publishing, to a real server that speaks the Hub's protocol: strangers can use what arrives there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
from huggingface_hub import RepoCard

import synth
from synth import checkpoint, hub
from tests.conftest import draw_picture, make_model
from tests.hub_client import ROOT
from tests.hub_rules import metadata_errors
from training import space


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
        (["--static-space", "page"], "static-space: expected OWNER/NAME, got 'page'"),
        (["--static-space", "owner/page", "--repo", "owner/new"], "expected no --repo, --all, --space or --hardware"),
        (["--all", "--repo", "owner"], "expected one of CHECKPOINT, --all and --space"),
        (["--repo", "owner/new", "--hardware", "cpu-basic"], "hardware: expected a Space to run on it (--space)"),
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


def writes(hub_server, before: int) -> list[str]:
    """What was sent after the first ``before`` requests, but for questions whether it may be."""
    asked = ("validate-yaml", "/repos/create")
    requests = hub_server.log()[before:]
    return [path for method, path, _ in requests if method in ("POST", "PUT") and not path.endswith(asked)]


def test_all_are_checked_before_the_first_is_sent(hub_server, owner, evaluated, tmp_path):
    for name in ("good", "worse"):
        shutil.copytree(evaluated, tmp_path / name)
    (tmp_path / "worse" / "evaluation.json").unlink()
    before = len(hub_server.log())
    outcome = owner("publish_all", bundled=str(tmp_path))
    assert outcome["exit"] == 2 and "run python -m training.evaluate first" in outcome["printed"]
    assert len(hub_server.log()) == before + 1


@pytest.mark.parametrize(
    "token, repo", [("hf_reader", "owner/mine"), ("hf_reader", "owner/tiny"), ("hf_patron", "owner/theirs")]
)
def test_a_token_that_may_not_write_is_one_sentence(hub_server, owner, evaluated, published, token, repo):
    before = len(hub_server.log())
    outcome = owner.publish(evaluated, "--repo", repo, token=token)
    sentence = f"publishing {repo} failed (403): the token may not write there\n"
    assert outcome["exit"] == 2 and outcome["printed"].endswith(sentence)
    sent = [one for one in hub_server.log()[before:] if one[0] in ("POST", "PUT") and "validate-yaml" not in one[1]]
    assert sent and {status for *_, status in sent} == {403}


def test_a_seal_that_names_a_missing_file_is_refused(hub_server, owner, evaluated, tmp_path):
    folder = shutil.copytree(evaluated, tmp_path / "sealed")
    seal = json.loads((folder / "seal.json").read_text())
    seal["sha256"]["decoder.safetensors"] = "0" * 64
    (folder / "seal.json").write_text(json.dumps(seal))
    before = len(hub_server.log())
    outcome = owner.publish(folder, "--repo", "owner/sealed")
    assert outcome["exit"] == 2 and outcome["printed"].endswith("is incomplete: no decoder.safetensors\n")
    assert len(hub_server.log()) == before + 1


CARDS = {
    "no metadata": ("# A model\n", "README.md: expected metadata between two lines of ---, got none"),
    "no YAML": ("---\na: [\n---\n# A model\n", "README.md: expected metadata that the Hub takes, got "),
    "unknown field": ("---\nlicence: mit\n---\n", 'takes, got "licence" is not allowed'),
    "unknown licence": ("---\nlicense: mine\n---\n", "takes, got \"license\" is not valid: 'mine'"),
    "base without owner": ("---\nlicense: mit\nbase_model: tiny\n---\n", "\"base_model\" is not valid: 'tiny'"),
}


@pytest.mark.parametrize("damage", CARDS)
def test_a_card_that_the_hub_refuses_is_one_sentence_and_sends_nothing(hub_server, owner, tmp_path, damage):
    text, words = CARDS[damage]
    (tmp_path / "README.md").write_text(text)
    before = len(hub_server.log())
    error = owner("publish_files", repo="owner/card", files={"README.md": str(tmp_path / "README.md")})["error"]
    assert words in error and "\n" not in error and writes(hub_server, before) == []
    assert not [path for _, path, _ in hub_server.log()[before:] if path.endswith("create")]


def test_the_published_card_names_its_owner_and_its_snippets_run(owner, stranger, tmp_path):
    name = "cifar10-judge"
    links = ("--code", "https://code.example/synth", "--app", "owner/app")
    assert "at revision" in (printed := owner.publish(name, "--repo", f"owner/{name}", *links)["printed"]), printed
    draw_picture().save(tmp_path / "picture.png")
    outcome = stranger("run_card", repo=f"owner/{name}", folder=str(tmp_path))
    text = (tmp_path / "README.md").read_text()
    assert (
        f'synth.load("owner/{name}")' in text and "https://code.example/synth" in text and "/spaces/owner/app" in text
    )
    first, second = outcome["value"].split("\n")[:2]
    assert first.split()[0] == second and second in synth.load(name).classes
    assert f'synth.load("{name}")' in (hub.folder(name) / "README.md").read_text(), "the bundled card stays"


PAID = ("--space", "patron/app", "--repo", "owner/tiny")


def test_a_space_on_a_cpu_needs_a_paid_account(hub_server, owner, published):
    before = len(hub_server.log())
    outcome = owner.publish("--space", "owner/paid", "--repo", published[0], "--hardware", "cpu-basic")
    assert outcome["exit"] == 2 and outcome["printed"].endswith(
        "publishing owner/paid failed (402): the Hub wants a paid account for an app on cpu-basic; choose --hardware "
        "zero-a10g, or publish from an account that pays\n"
    )
    assert writes(hub_server, before) == []
    assert "at revision" in owner.publish(*PAID, "--hardware", "cpu-basic", token="hf_patron")["printed"]


def test_unknown_hardware_is_one_sentence_and_asks_nobody(hub_server, owner):
    before = len(hub_server.log())
    outcome = owner.publish("--space", "owner/fast", "--repo", "owner/tiny", "--hardware", "abacus")
    assert outcome["exit"] == 2 and outcome["printed"].startswith("hardware: expected one of cpu-basic, cpu-upgrade, ")
    assert outcome["printed"].endswith("got 'abacus'\n") and len(hub_server.log()) == before + 1


def test_a_space_that_is_there_gets_other_hardware(hub_server, owner, published):
    for hardware in ("t4-small", "zero-a10g", "zero-a10g"):
        before = len(hub_server.log())
        assert "at revision" in owner.publish(*PAID, "--hardware", hardware, token="hf_patron")["printed"]
    assert not [path for _, path, _ in hub_server.log()[before:] if path.endswith("/hardware")], "asked for once"


@pytest.mark.parametrize("hardware", ["zero-a10g", "cpu-basic"])
def test_what_a_space_holds(hardware, tmp_path):
    paths = space.files("ann/app", "ann/model", hardware, folder=tmp_path, endpoint="https://hub.example")
    lines, project = paths["requirements.txt"].read_text().splitlines(), (ROOT / "requirements.txt").read_text()
    assert all(line in project for line in lines if not line.startswith("spaces=="))
    names = {line.split("==")[0] for line in lines if not line.startswith("#")}
    assert {"gradio", "torch", "safetensors"} <= names and ("spaces" in names) == (hardware == "zero-a10g")
    assert not names & {"pytest", "playwright", "ruff", "mypy", "accelerate", "pyarrow", "torch-fidelity"}
    readme = paths["README.md"].read_text()
    fields = RepoCard(readme).data.to_dict()
    assert fields["suggested_hardware"] == hardware and fields["models"] == ["ann/model"] and fields["tags"]
    assert fields["thumbnail"].removeprefix("https://hub.example/spaces/ann/app/resolve/main/") in paths
    assert metadata_errors("space", readme) == []
    assert metadata_errors("space", readme.replace("with one", "with one and the same")) != []
    assert metadata_errors("space", readme.replace("colorFrom: indigo", "colorFrom: teal")) != []
    assert metadata_errors("space", readme.replace("sdk: gradio", "sdk: streamlit")) != []


def test_the_app_starts_from_just_what_a_space_would_hold(hub_server, stranger, owner, published, tmp_path):
    owner.publish("--space", "owner/app", "--repo", published[0])
    app = tmp_path / "app"
    stranger("download_space", repo="owner/app", folder=str(app))
    assert (app / "checkpoints" / "hub.txt").read_text().strip() == published[0]
    assert (app / "requirements.txt").read_text() == space.requirements("zero-a10g")
    settings = {"HF_ENDPOINT": hub_server.address, "HF_HOME": str(stranger.home), "HF_HUB_DISABLE_XET": "1"}
    settings |= {"HF_HUB_OFFLINE": "0", "PYTHONPATH": str(app), "PYTHONSAFEPATH": "1"}
    command, pipes = [sys.executable, ROOT / "tests" / "space_start.py"], {"capture_output": True, "text": True}
    run = subprocess.run(command, cwd=app, env=os.environ | settings, timeout=120, **pipes)
    assert run.stdout.split() == [published[0], "tiny"], run.stderr[-2000:]
