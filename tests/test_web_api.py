"""The endpoints, and which files the server hands out."""

from __future__ import annotations

import json
import re
from contextlib import closing

import gradio_client as client
import httpx
import pytest
from PIL import Image

from synth import TASKS
from synth.record import Record
from synth.web import evidence
from synth.web.checkpoints import load
from synth.web.page import build
from tests.conftest import CLASSES, EVERY_TASK, needed


def uploads(settings: dict, folder) -> dict:
    """The settings with pictures as files for the API's client."""
    sent = dict(settings)
    for name, value in settings.items():
        if isinstance(value, Image.Image):
            value.save(folder / f"{name}.png")
            sent[name] = client.handle_file(str(folder / f"{name}.png"))
    return sent


@EVERY_TASK
def test_endpoint(task, server, tmp_path):
    api, settings = client.Client(server, verbose=False), needed(task, steps=2)
    picture, status, single = api.predict(**uploads(settings, tmp_path), api_name=f"/{task.name}")
    assert re.match(r"Done in \d+\.\d s, 2 steps\." if "steps" in settings else "Done in ", status)
    made = task(load("tiny"), **Record.read(picture).settings).images
    assert len(single) == len(made)
    for one, expected in zip(single, made, strict=True):
        assert Image.open(one["image"]).tobytes() == expected.tobytes() and Record.read(one["image"]).task == task.name
    kept = Record.read(picture).settings
    assert set(kept) == set(task.parameters) and kept.get("steps", 2) == 2
    wrong = "steps" if "steps" in settings else "depth"
    with pytest.raises(Exception, match=rf"^{wrong}: expected 1 to \d+[ a-z]*, got 0$"):
        api.predict(**uploads(settings | {wrong: 0}, tmp_path), api_name=f"/{task.name}")
    assert api.predict(**uploads(settings, tmp_path), api_name=f"/{task.name}")[1].startswith("Done")


def test_the_api_has_the_declared_names_and_nothing_else(server):
    endpoints = client.Client(server, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {f"/{name}" for name in TASKS} | {"/checkpoints", "/classes"}
    for name, task in TASKS.items():
        names = [parameter["parameter_name"] for parameter in endpoints[f"/{name}"]["parameters"]]
        assert names == ["checkpoint", *task.parameters, "preset"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"checkpoint": "nowhere"},
            "checkpoint: expected one of plain, tiny, a folder or owner/name on the Hub, got 'nowhere'",
        ),
        ({"preset": "best"}, "preset: expected one of tuned, paper, got 'best'"),
        ({"steps": "many"}, "steps: expected a number from 1 to"),
        ({"count": 2.5}, "count: expected a whole number from 1 to 64, got 2.5"),
    ],
)
def test_the_api_answers_a_wrong_value_in_one_sentence(server, settings, sentence):
    with pytest.raises(Exception) as error:
        client.Client(server, verbose=False).predict(**settings, api_name="/generation")
    assert str(error.value).startswith(sentence)


def test_the_api_lists_checkpoints_and_classes(server):
    api = client.Client(server, verbose=False)
    assert api.predict(api_name="/checkpoints") == ["tiny", "plain"]
    assert api.predict("plain", api_name="/classes") == api.predict(api_name="/classes") == CLASSES
    with pytest.raises(Exception, match="^checkpoint: expected one of plain, tiny, "):
        api.predict("nowhere", api_name="/classes")


def test_the_documented_defaults_are_those_that_run(tiny, monkeypatch):
    values = TASKS["generation"].defaults(load("tiny")) | {"epsilon": 3.25}
    monkeypatch.setattr(TASKS["generation"], "defaults", lambda model, preset="tuned": values)
    with closing(build()) as page:
        (about,) = (one.api_description for one in page.fns.values() if one.api_name == "generation")
    assert "How far the picture may move from its start. 0.01 to 100 L2 (default 3.25)." in about
    assert "The defaults are those of tiny, the default checkpoint." in about


def test_a_path_on_the_callers_machine_is_refused_in_a_sentence(server):
    for value in ("lion.png", {"name": "lion.png"}):
        with pytest.raises(
            Exception, match="^picture: expected an uploaded file, such as gradio_client.handle_file makes"
        ):
            client.Client(server, verbose=False).predict(picture=value, api_name="/maximisation")


def test_a_file_that_is_no_picture_is_refused_as_in_python(server, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(Exception, match="^picture: expected a readable picture file"):
        notes = client.handle_file(str(tmp_path / "notes.png"))
        client.Client(server, verbose=False).predict(picture=notes, api_name="/maximisation")


def test_the_evidence_is_shown_and_nothing_beside_it_is_served(server):
    for finding in evidence.FINDINGS:
        assert len(finding.files) == len(finding.pictures)
        for path in finding.files:
            assert httpx.get(f"{server}gradio_api/file={path}").content == path.read_bytes()
    assert httpx.get(f"{server}gradio_api/file={evidence.DOCS / 'tasks.webp'}").status_code == 403


def test_the_evidence_says_what_was_measured():
    words = evidence.FINDINGS[0].words
    for name in ("imagenet20-resnet18-slim-l2-dual", "imagenet20-resnet18-slim-standard"):
        report = json.loads((evidence.DOCS.parent / "checkpoints" / name / "evaluation.json").read_text())
        also = next(one for one in report["samples"]["also"] if one["extractor"] == "judge efficientnet-lite2")
        share = also["samples"]["judge_accuracy"]
        assert f"{share['value']:.0%} of {share['count']:,}" in words
