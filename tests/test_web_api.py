"""The endpoints, and which files the server hands out."""

from __future__ import annotations

import gradio_client as client
import httpx
import pytest
from PIL import Image

from synth import TASKS
from synth.record import Record
from synth.web import evidence
from tests.conftest import EVERY_TASK, needed


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
    picture, status = api.predict(**uploads(settings, tmp_path), api_name=f"/{task.name}")
    assert status.startswith("done: step 2 of 2" if "steps" in settings else "done: step ")
    kept = Record.read(picture).settings
    assert set(kept) == set(task.parameters) and kept.get("steps", 2) == 2
    wrong = "steps" if "steps" in settings else "depth"
    with pytest.raises(Exception, match=rf"^{wrong}: expected 1 to \d+[ a-z]*, got 0$"):
        api.predict(**uploads(settings | {wrong: 0}, tmp_path), api_name=f"/{task.name}")
    assert api.predict(**uploads(settings, tmp_path), api_name=f"/{task.name}")[1].startswith("done")


def test_the_api_has_the_declared_names_and_nothing_else(server):
    endpoints = client.Client(server, verbose=False).view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == {f"/{name}" for name in TASKS}
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


def test_a_file_that_is_no_picture_is_refused_as_in_python(server, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(Exception, match="^picture: expected a readable picture file"):
        notes = client.handle_file(str(tmp_path / "notes.png"))
        client.Client(server, verbose=False).predict(picture=notes, api_name="/maximisation")


def test_the_evidence_is_shown_and_nothing_beside_it_is_served(server):
    names = [name for name in evidence.CAPTIONS if (evidence.FOLDER / f"{name}.png").exists()]
    assert names
    for name in names:
        path = evidence.FOLDER / f"{name}.png"
        assert httpx.get(f"{server}gradio_api/file={path}").content == path.read_bytes()
    assert httpx.get(f"{server}gradio_api/file={evidence.FOLDER.parent / 'tasks.png'}").status_code == 403
