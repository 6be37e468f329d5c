"""The app's parts: components for every parameter, what the editor sends, streams, links, endpoints."""

from __future__ import annotations

import copy
import random
import threading
import time
from contextlib import closing
from pathlib import Path

import gradio as gr
import gradio_client as client
import httpx
import numpy as np
import pytest
import torch
from gradio import processing_utils
from PIL import Image

from synth import TASKS, hub, pictures
from synth.parameters import ClassName, Depth, FeatureIndex, Float, Mask, Normal, Picture, Twin
from synth.web import controls, evidence, running
from synth.web.controls import control, controls_at
from synth.web.editor import EDITED, editable, gathered, parse_editor
from synth.web.links import from_link, from_picture, link
from synth.web.running import LINE, Line, load, stream
from synth.web.shelves import checksum, untouched
from synth.web.views import picked, sheet, zoom
from synth.web.whole_files import save_pil_to_cache
from tests.conftest import CLASSES, draw_picture, needed

pytestmark = pytest.mark.usefixtures("tiny")
EVERY_TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


def uploads(settings: dict, folder) -> dict:
    """The settings with pictures as files for the API's client."""
    sent = dict(settings)
    for name, value in settings.items():
        if isinstance(value, Image.Image):
            value.save(folder / f"{name}.png")
            sent[name] = client.handle_file(str(folder / f"{name}.png"))
    return sent


# Controls


@EVERY_TASK
def test_every_parameter_has_a_component_that_shows_its_declaration(task):
    model = load("tiny")
    for name, kind in task.parameters.items():
        value = None if isinstance(kind, (Picture, Mask)) else kind.default
        component = control(name, kind, model, value)
        if isinstance(component, gr.Slider):
            assert kind.minimum <= component.minimum < kind.minimum + kind.step
            limits = {FeatureIndex: model.head.in_features - 1, Depth: model.decoder.depth}
            assert component.maximum == limits.get(type(kind), kind.maximum)
        elif isinstance(component, gr.Dropdown):
            known = {Normal: ["squares"], Twin: ["none", "tiny", "plain"]}.get(type(kind), CLASSES)
            assert [value for _, value in component.choices if value] == list(getattr(kind, "options", known))
            if isinstance(kind, ClassName) and kind.optional:
                assert component.choices[0] == (kind.blank.capitalize(), "")
        else:
            assert isinstance(component, (gr.Number, gr.Image))
        assert kind.help in (component.label, component.info)


@EVERY_TASK
@pytest.mark.parametrize("preset", ["tuned", "paper"])
def test_presets_set_the_controls(task, preset):
    model = load("tiny")
    names = [name for name, kind in task.parameters.items() if isinstance(kind, Float)]
    values = [control.value for control in controls_at(task, names, model, preset)]
    assert values == [task.defaults(model, preset)[name] for name in names]


def test_a_new_kind_of_parameter_is_refused():
    with pytest.raises(TypeError):
        control("x", object.__new__(type("Other", (), {"unit": "", "help": ""})), load("tiny"), None)


# The editor

PICTURE = draw_picture(48, 32)
CLEAR = Image.new("RGBA", (48, 32))


def painted(alpha: int, box=(4, 4, 12, 20), size=(48, 32), colour=(255, 0, 0)) -> Image.Image:
    layer = Image.new("RGBA", size)
    layer.paste((*colour, alpha), box)
    return layer


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        {"background": None, "layers": [], "composite": None},
        {"background": None, "layers": None, "composite": None},
        {"background": None, "layers": [None], "composite": None},
        {"background": None, "layers": [CLEAR], "composite": CLEAR},
    ],
    ids=["nothing", "bare", "empty", "no layers", "missing layer", "cleared"],
)
def test_an_empty_editor_holds_nothing(payload):
    for drawn in (False, True):
        assert parse_editor(payload, drawn=drawn) == (None, None)


@pytest.mark.parametrize("layers", [[], [None], [CLEAR], [CLEAR, CLEAR]], ids=len)
def test_without_paint_there_is_a_picture_and_no_mask(layers):
    payload = {"background": PICTURE, "layers": layers, "composite": None}
    for drawn in (False, True):
        assert parse_editor(payload, drawn=drawn) == (PICTURE, None)


@pytest.mark.parametrize("alpha", [1, 128, 255])
def test_the_mask_is_wherever_any_layer_has_paint_however_soft(alpha):
    layers = [painted(alpha), CLEAR, painted(255, (20, 0, 24, 8))]
    picture, mask = parse_editor({"background": PICTURE, "layers": layers, "composite": None})
    expected = np.zeros((32, 48), np.uint8)
    expected[4:20, 4:12] = expected[0:8, 20:24] = 255
    assert picture is PICTURE
    assert (np.asarray(mask) == expected).all()


def test_a_layer_of_another_size_is_fitted_to_the_picture():
    layer = painted(255, (8, 8, 24, 40), (96, 64))
    _, mask = parse_editor({"background": PICTURE, "layers": [layer], "composite": None})
    assert mask.size == PICTURE.size and mask.getbbox() == (4, 4, 12, 20)


@pytest.mark.parametrize("background", [None, PICTURE], ids=["white page", "picture"])
def test_a_drawing_holds_its_paint(background):
    payload = {"background": background, "layers": [painted(255)], "composite": None}
    picture = pictures.read(parse_editor(payload, drawn=True)[0])
    assert picture.getpixel((6, 6)) == (255, 0, 0)
    assert picture.getpixel((40, 30)) == (PICTURE.getpixel((40, 30)) if background else (255, 255, 255))


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (224, 224)])
def test_a_picture_comes_back_from_the_editor_as_it_went_in(size):
    image = draw_picture(*size)
    edited = editable(image)
    assert min(edited.size) >= EDITED
    assert torch.equal(pictures.to_tensor(edited, size[0]), pictures.to_tensor(image, size[0]))


def test_a_large_picture_is_cropped_and_shrunk_for_the_editor():
    assert editable(draw_picture(1200, 900)).size == (EDITED, EDITED)
    with pytest.raises(ValueError, match="picture: expected 4 to 4096 pixels"):
        editable(Image.new("RGB", (5000, 8)))


def editor_values(layers=(), uploaded=None, background=PICTURE) -> dict:
    return {"picture": {"background": background, "layers": list(layers), "composite": None}, "mask": uploaded}


def test_drawn_and_uploaded_masks_are_united():
    uploaded = Image.new("L", (24, 16))
    uploaded.paste(255, (20, 12, 24, 16))
    settings, note = gathered(TASKS["inpainting"], editor_values([painted(255)], uploaded))
    assert settings["mask"].size == PICTURE.size and settings["mask"].getbbox() == (4, 4, 48, 32) and note == ""


def test_a_mask_that_nobody_drew_is_said_so():
    settings, note = gathered(TASKS["inpainting"], editor_values())
    assert settings["mask"] is None and "no mask was drawn, so a random square" in note
    settings, note = gathered(TASKS["painting"], editor_values())
    assert settings["mask"] is None and "a disc in the middle" in note
    settings, _ = gathered(TASKS["painting"], editor_values(background=None))
    assert settings["picture"] is None and settings["mask"] is None


# Runs


@EVERY_TASK
def test_a_stream_begins_at_once_and_ends_with_what_python_gives(task):
    settings, seen = needed(task), []
    expected = list(task.frames(load("tiny"), **settings))
    frames, last = stream(task, "tiny", settings, seen.append), len(expected) - 1
    first, status = next(frames)
    assert first.step == 0 and status.startswith(f"step 0 of {last}") and sheet(first).size[0] >= 128
    *_, (frame, status) = frames
    assert status.startswith(f"done: step {last} of {last}") and [one.step for one in seen] == list(range(last + 1))
    assert torch.equal(frame.pictures, expected[-1].pictures)
    assert len(LINE) == 0


def test_several_classes_are_named_in_order():
    *_, (_, status) = stream(TASKS["generation"], "tiny", {"count": 3, "steps": 1})
    assert status.endswith("; row by row: circle, square, stripe")


def test_a_bad_value_is_told_as_in_python():
    for settings in ({"steps": 0}, {"class_name": "unicorn"}, {"nonsense": 1}):
        with pytest.raises(ValueError) as expected:
            TASKS["generation"](load("tiny"), **settings)
        with pytest.raises(gr.Error) as told:
            list(stream(TASKS["generation"], "tiny", settings))
        assert told.value.message == str(expected.value) and len(LINE) == 0


def test_a_second_run_is_told_its_place():
    with closing(stream(TASKS["generation"], "tiny", {"steps": 50})) as first:
        next(first)
        second = stream(TASKS["generation"], "tiny", {"steps": 1})
        frame, status = next(second)
        assert frame is None and status.startswith("waiting: 1 before you, about ")
    assert list(second)[-1][1].startswith("done: step 1 of 1")
    assert len(LINE) == 0


def test_the_line_is_first_come_first_served_and_says_when_it_is_full(monkeypatch):
    line, served = Line(), []

    def visit(number):
        with line.place() as ahead:
            while ahead(0.05):
                pass
            served.append(number)
            time.sleep(0.02)

    people = []
    for number in range(5):
        people.append(threading.Thread(target=visit, args=(number,)))
        people[-1].start()
        while len(line) <= number and len(served) + len(line) <= number:
            time.sleep(0.001)
    for person in people:
        person.join()
    assert served == [0, 1, 2, 3, 4] and len(line) == 0
    monkeypatch.setattr(running, "MOST_WAITING", 1)
    with line.place(), line.place():
        with pytest.raises(ValueError, match=r"^queue: .* the queue is full, try again"), line.place():
            pass
        assert len(line) == 2
    assert len(line) == 0


def test_a_long_run_ends_only_if_others_wait(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", 0)
    *_, (frame, _) = stream(TASKS["generation"], "tiny", {"steps": 20, "count": 1})
    assert frame.step == 20
    with LINE.place() as somebody_before:
        long = stream(TASKS["generation"], "tiny", {"steps": 20, "count": 1})
        assert next(long)[0] is None and not somebody_before()
    with LINE.place():  # now behind it
        *_, (frame, status) = long
    assert frame.step < 20 and status.endswith("since others wait")


def test_the_picture_under_the_pointer():
    frame = TASKS["generation"](load("tiny"), steps=1, count=7)
    page, side = sheet(frame), 32 * zoom(frame)
    for index, image in enumerate(frame.images):
        x, y = index % 4 * (side + 2) + side - 1, index // 4 * (side + 2) + side - 1
        assert picked(frame, x, y) == index and page.getpixel((x, y)) == image.getpixel((31, 31))


# Links


@EVERY_TASK
def test_a_link_holds_what_differs_and_gives_it_back(task):
    model, draws = load("tiny"), random.Random(0)
    changes = {"seed": 7, "epsilon": 1.5, "depth": 2, "sigma": 9.0}
    values = task.defaults(model) | {name: value for name, value in changes.items() if name in task.parameters}
    words = {name: kind for name, kind in task.parameters.items() if isinstance(kind, ClassName)}
    values |= {name: draws.choice(kind.names(model)) for name, kind in words.items()}
    query = link(task, "tiny", values)
    assert "picture" not in query and "jitter" not in query
    found, checkpoint, settings = from_link(dict(part.split("=") for part in query[1:].split("&")))
    assert (found, checkpoint, settings) == (task, "tiny", values)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ({"task": "cooking"}, "task: expected one of generation, "),
        ({"task": "generation", "checkpoint": "nowhere"}, "checkpoint: expected one of "),
        ({"task": "generation", "checkpoint": "tiny", "steps": "many"}, "steps: expected a number from 1 to "),
        ({"task": "generation", "checkpoint": "tiny", "steps": "nan"}, "steps: expected 1 to "),
        ({"task": "generation", "checkpoint": "tiny", "x": "1"}, "x: expected a setting of generation "),
        ({"task": "sketch", "checkpoint": "tiny", "picture": "/etc/passwd"}, "picture: expected a setting of sketch "),
    ],
)
def test_a_bad_link_is_told_in_one_sentence(query, sentence):
    with pytest.raises(ValueError) as told:
        from_link(query)
    assert str(told.value).startswith(sentence)


@EVERY_TASK
def test_a_picture_made_here_gives_its_settings_back(task, tmp_path):
    frame = task(load("tiny"), **needed(task, seed=5))
    frame.save(tmp_path / "made.png")
    found, checkpoint, settings = from_picture(tmp_path / "made.png")
    assert (found, checkpoint, settings.get("seed", 5)) == (task, "tiny", 5)
    shown = {name: editable(value) for name, value in settings.items() if isinstance(value, Image.Image)}
    assert torch.equal(task(load("tiny"), **settings | shown).pictures, frame.pictures)


@pytest.mark.parametrize("record", [{}, {"settings": 3}, {"task": "x", "checkpoint": "tiny", "settings": {}}])
def test_a_picture_with_other_settings_is_refused_in_one_sentence(record, tmp_path):
    pictures.save(draw_picture(), tmp_path / "other.png", record)
    with pytest.raises(ValueError, match="^(picture|task): expected "):
        from_picture(tmp_path / "other.png")


# The API


@EVERY_TASK
def test_endpoint(task, server, tmp_path):
    api, settings = client.Client(server, verbose=False), needed(task, steps=2)
    picture, status = api.predict(**uploads(settings, tmp_path), api_name=f"/{task.name}")
    assert status.startswith("done: step 2 of 2" if "steps" in settings else "done: step ")
    kept = pictures.settings_of(picture)["settings"]
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
def test_the_api_tells_what_is_wrong_in_one_sentence(server, settings, sentence):
    with pytest.raises(Exception) as told:
        client.Client(server, verbose=False).predict(**settings, api_name="/generation")
    assert str(told.value).startswith(sentence)


def test_a_file_that_is_no_picture_is_told_as_in_python(server, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    with pytest.raises(Exception, match="^picture: expected a readable picture file"):
        notes = client.handle_file(str(tmp_path / "notes.png"))
        client.Client(server, verbose=False).predict(picture=notes, api_name="/maximisation")


def test_a_download_tells_how_far_it_has_come(monkeypatch, tmp_path):
    def slow(name, progress):
        progress(1_000_000, 5_600_000)
        time.sleep(0.5)
        return tmp_path

    monkeypatch.setattr(hub, "folder", slow)
    words = list(running.download("owner/name"))
    assert words and set(words) <= {"Downloading owner/name: 1.0 of 5.6 MB"}


def test_a_download_that_fails_is_told(monkeypatch):
    def refused(name, progress):
        raise ValueError("checkpoint: expected a reachable Hub repository, got 'owner/name'")

    monkeypatch.setattr(hub, "folder", refused)
    with pytest.raises(ValueError, match="reachable Hub"):
        list(running.download("owner/name"))


def test_classes_are_offered_by_superclass(model):
    model = copy.copy(model)
    model.groups, model.pairs = {"round": ["circle", "dot"], "angular": ["square", "stripe"]}, {"dot": "circle"}
    shown = [words for words, _ in controls.choices(model)]
    assert shown == ["circle (round)", "dot (round)", "square (angular)", "stripe (angular)"]
    assert controls.first(model) == "dot"


def test_a_picture_that_is_shown_again_stays_whole_for_those_who_read_it(tmp_path):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8))
    path = save_pil_to_cache(image, str(tmp_path), format="png")
    whole, sizes = Path(path).stat().st_size, set()
    showing = threading.Thread(
        target=lambda: [save_pil_to_cache(image, str(tmp_path), format="png") for _ in range(20)]
    )
    showing.start()
    while showing.is_alive():
        sizes.add(Path(path).stat().st_size)
    assert processing_utils.save_pil_to_cache is save_pil_to_cache
    assert sizes == {whole} and [str(kept) for kept in tmp_path.rglob("*.png")] == [path]


# Evidence


def test_the_evidence_is_shown_and_nothing_beside_it_is_served(server):
    found = [name for name in evidence.SHOWN if (evidence.FOLDER / f"{name}.png").exists()]
    assert found
    for name in found:
        path = evidence.FOLDER / f"{name}.png"
        assert httpx.get(f"{server}gradio_api/file={path}").content == path.read_bytes()
    assert httpx.get(f"{server}gradio_api/file={evidence.FOLDER.parent / 'tasks.png'}").status_code == 403


def test_an_example_is_untouched_until_it_is_painted_on_or_replaced():
    example = editable(draw_picture())
    clear, paint = Image.new("RGBA", example.size), Image.new("RGBA", example.size, "white")
    placed = checksum(example)
    for shown in (example, example.convert("RGBA"), {"background": example, "layers": [clear]}):
        assert untouched(shown, placed)
    for shown in (None, {}, example.rotate(90), {"background": example, "layers": [clear, paint]}):
        assert not untouched(shown, placed)
