"""The app: components for every parameter, what the editor sends, streams, endpoints, and the page in a browser."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import closing

import gradio as gr
import gradio_client as client
import numpy as np
import pytest
import torch
from PIL import Image

import app
from synth import TASKS, hub, pictures
from synth.parameters import ClassName, Float, Mask, Picture, Unit
from tests.conftest import CLASSES, draw_picture, make_model, make_start, needed

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-sync"
FILLED = """() => {  // the brush is taken, the canvas is as wide as its column, and the picture fills it
    const editor = document.querySelector('#editor-inpainting');
    return editor?.querySelector('button[aria-label=Brush].highlight')
        && editor.querySelector('canvas')?.offsetWidth == editor.parentElement.offsetWidth
        && parseInt(editor.querySelector('.zoom-number')?.innerText) > 90
}"""
EVERY_TASK = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@pytest.fixture(scope="module", autouse=True)
def tiny(tmp_path_factory):
    """A folder of checkpoints that holds one, called tiny."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("checkpoints")
        patch.setattr(hub, "BUNDLED", folder)
        make_model(info={"name": "tiny"}).save_pretrained(folder / "tiny")
        make_start().save(folder / "tiny" / "start.safetensors")
        (folder / "tiny" / "examples").mkdir()
        draw_picture().save(folder / "tiny" / "examples" / "square.png")
        app.load.cache_clear()
        yield "tiny"
        app.load.cache_clear()


@pytest.fixture(scope="module")
def server(tiny):
    """The address of the app, serving in this process."""
    with closing(app.build()) as page:
        yield page.launch(prevent_thread_lock=True, quiet=True, **app.LAUNCH)[1]


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
    model = app.load("tiny")
    for name, kind in task.parameters.items():
        value = None if isinstance(kind, (Picture, Mask)) else kind.default
        component = app.control(name, kind, model, value)
        if isinstance(component, gr.Slider):
            assert kind.minimum <= component.minimum < kind.minimum + kind.step
            assert component.maximum == (model.head.in_features - 1 if isinstance(kind, Unit) else kind.maximum)
        elif isinstance(component, gr.Dropdown):
            assert [value for _, value in component.choices if value] == list(getattr(kind, "options", CLASSES))
            if isinstance(kind, ClassName) and kind.optional:
                assert component.choices[0] == (kind.blank.capitalize(), "")
        else:
            assert isinstance(component, (gr.Number, gr.Image))
        assert kind.help in (component.label, component.info)


@EVERY_TASK
@pytest.mark.parametrize("preset", ["tuned", "paper"])
def test_presets_set_the_controls(task, preset):
    model = app.load("tiny")
    names = [name for name, kind in task.parameters.items() if isinstance(kind, Float)]
    values = [control.value for control in app.controls_at(task, names, model, preset)]
    assert values == [task.defaults(model, preset)[name] for name in names]


def test_a_new_kind_of_parameter_is_refused():
    with pytest.raises(TypeError):
        app.control("x", object.__new__(type("Other", (), {"unit": "", "help": ""})), app.load("tiny"), None)


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
        assert app.parse_editor(payload, drawn=drawn) == (None, None)


@pytest.mark.parametrize("layers", [[], [None], [CLEAR], [CLEAR, CLEAR]], ids=len)
def test_without_paint_there_is_a_picture_and_no_mask(layers):
    payload = {"background": PICTURE, "layers": layers, "composite": None}
    for drawn in (False, True):
        assert app.parse_editor(payload, drawn=drawn) == (PICTURE, None)


@pytest.mark.parametrize("alpha", [1, 128, 255])
def test_the_mask_is_wherever_any_layer_has_paint_however_soft(alpha):
    layers = [painted(alpha), CLEAR, painted(255, (20, 0, 24, 8))]
    picture, mask = app.parse_editor({"background": PICTURE, "layers": layers, "composite": None})
    expected = np.zeros((32, 48), np.uint8)
    expected[4:20, 4:12] = expected[0:8, 20:24] = 255
    assert picture is PICTURE
    assert (np.asarray(mask) == expected).all()


def test_a_layer_of_another_size_is_fitted_to_the_picture():
    layer = painted(255, (8, 8, 24, 40), (96, 64))
    _, mask = app.parse_editor({"background": PICTURE, "layers": [layer], "composite": None})
    assert mask.size == PICTURE.size and mask.getbbox() == (4, 4, 12, 20)


@pytest.mark.parametrize("background", [None, PICTURE], ids=["white page", "picture"])
def test_a_drawing_holds_its_paint(background):
    payload = {"background": background, "layers": [painted(255)], "composite": None}
    picture = pictures.read(app.parse_editor(payload, drawn=True)[0])
    assert picture.getpixel((6, 6)) == (255, 0, 0)
    assert picture.getpixel((40, 30)) == (PICTURE.getpixel((40, 30)) if background else (255, 255, 255))


@pytest.mark.parametrize("size", [(32, 32), (33, 33), (224, 224)])
def test_a_picture_comes_back_from_the_editor_as_it_went_in(size):
    image = draw_picture(*size)
    edited = app.editable(image)
    assert min(edited.size) >= app.EDITED
    assert torch.equal(pictures.to_tensor(edited, size[0]), pictures.to_tensor(image, size[0]))


def test_a_large_picture_is_cropped_and_shrunk_for_the_editor():
    assert app.editable(draw_picture(1200, 900)).size == (app.EDITED, app.EDITED)
    with pytest.raises(ValueError, match="picture: expected 4 to 4096 pixels"):
        app.editable(Image.new("RGB", (5000, 8)))


def editor_values(layers=(), uploaded=None, background=PICTURE) -> dict:
    return {"picture": {"background": background, "layers": list(layers), "composite": None}, "mask": uploaded}


def test_drawn_and_uploaded_masks_are_united():
    uploaded = Image.new("L", (24, 16))
    uploaded.paste(255, (20, 12, 24, 16))
    settings, note = app.gathered(TASKS["inpainting"], editor_values([painted(255)], uploaded))
    assert settings["mask"].size == PICTURE.size and settings["mask"].getbbox() == (4, 4, 48, 32) and note == ""


def test_a_mask_that_nobody_drew_is_said_so():
    settings, note = app.gathered(TASKS["inpainting"], editor_values())
    assert settings["mask"] is None and "no mask was drawn, so a random square" in note
    settings, note = app.gathered(TASKS["painting"], editor_values())
    assert settings["mask"].getbbox() == (12, 8, 37, 25) and "a disc in the middle" in note
    settings, _ = app.gathered(TASKS["painting"], editor_values(background=None))
    assert settings["picture"] is None and settings["mask"] is None


# Runs


@EVERY_TASK
def test_a_stream_begins_at_once_and_ends_with_what_python_gives(task, tmp_path):
    settings = needed(task)
    stream = app.stream(task, "tiny", settings)
    start, picture, status, file = next(stream)
    assert status.startswith("step 0 of 3") and file is None and picture.size[0] >= 128
    for start, picture, status, file in stream:  # noqa: B007
        if file:
            shutil.copy(file, tmp_path / "streamed.png")
    frame = task(app.load("tiny"), **settings)
    frame.save(tmp_path / "called.png", zoom=app.zoom(frame))
    assert status.startswith("done: step 3 of 3")
    assert (tmp_path / "streamed.png").read_bytes() == (tmp_path / "called.png").read_bytes()
    assert (start is not None) == (len(frame.pictures) == 1)
    assert pictures.settings_of(tmp_path / "streamed.png")["task"] == task.name
    assert not app.BUSY.locked()


def test_several_classes_are_named_in_order():
    *_, (_, _, status, _) = app.stream(TASKS["generation"], "tiny", {"count": 3, "steps": 1})
    assert status.endswith("; row by row: circle, square, stripe")


def test_a_bad_value_is_told_as_in_python():
    for settings in ({"steps": 0}, {"class_name": "unicorn"}, {"nonsense": 1}):
        with pytest.raises(ValueError) as expected:
            TASKS["generation"](app.load("tiny"), **settings)
        with pytest.raises(gr.Error) as told:
            list(app.stream(TASKS["generation"], "tiny", settings))
        assert told.value.message == str(expected.value) and not app.BUSY.locked()


def test_a_second_run_says_that_it_waits():
    with closing(app.stream(TASKS["generation"], "tiny", {"steps": 50})) as first:
        next(first)
        second = app.stream(TASKS["generation"], "tiny", {"steps": 1})
        assert next(second) == (None, None, "waiting for another run to finish", None)
    assert next(second)[2].startswith("step 0")
    second.close()
    assert not app.BUSY.locked()


# The API


@EVERY_TASK
def test_endpoint(task, server, tmp_path):
    api, settings = client.Client(server, verbose=False), needed(task) | {"steps": 2}
    picture, status = api.predict(**uploads(settings, tmp_path), api_name=f"/{task.name}")
    assert status.startswith("done: step 2 of 2")
    assert pictures.settings_of(picture)["settings"]["steps"] == 2
    with pytest.raises(Exception, match=r"^steps: expected 1 to \d+, got 0$"):
        api.predict(**uploads(settings | {"steps": 0}, tmp_path), api_name=f"/{task.name}")
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
            "checkpoint: expected one of tiny, a folder or owner/name on the Hub, got 'nowhere'",
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


# The page


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium")
    with playwright.sync_playwright() as driver, tempfile.TemporaryDirectory() as profile:
        arguments = [f"--{flag}" for flag in FLAGS.split()]
        context = driver.chromium.launch_persistent_context(profile, executable_path=CHROMIUM, args=arguments)
        context.set_default_timeout(120_000)
        yield context
        context.close()


@pytest.fixture
def page(browser, server):
    """The app in a browser; fails the test if its console shows an error or it asks another host for anything."""
    page, errors = browser.new_page(), []
    dropped = "Failed to load resource"  # what a page says of requests that its reload or a busy server cut off

    def heard(message):
        if message.type == "error" and dropped not in message.text:
            errors.append(message.text)

    page.on("console", heard)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "request", lambda asked: None if asked.url.startswith((server, "data:", "blob:")) else errors.append(asked.url)
    )
    page.goto(server)
    yield page
    page.close()
    assert errors == []


def here(page, selector: str):
    return page.locator(f"div[role=tabpanel]:visible {selector}").first


def test_the_first_click_makes_a_picture_and_stop_stops(page):
    here(page, "button:text-is('Run')").click()
    here(page, ":text('done: step')").wait_for()
    assert here(page, ".result img:visible").evaluate("image => image.naturalWidth") >= 128
    assert here(page, ":text('Save the PNG')").is_enabled()

    here(page, "input[aria-label*='Steps']").fill("5000")
    here(page, "input[aria-label*='Steps']").press("Tab")
    here(page, "button:text-is('Run')").click()
    here(page, ":text-matches('^step [1-9]')").wait_for()
    here(page, "button:text-is('Stop')").click()
    here(page, ":text('stopped at step')").wait_for()
    assert app.BUSY.acquire(timeout=5)
    app.BUSY.release()


def test_a_drawn_mask_reaches_the_task(page, monkeypatch):
    task, received = TASKS["inpainting"], []
    frames = task.frames
    monkeypatch.setattr(task, "frames", lambda model, **given: received.append(given) or frames(model, **given))
    page.locator("button[role=tab]:has-text('Inpaint')").click()
    page.wait_for_function(FILLED)
    page.wait_for_timeout(500)
    box = here(page, "#editor-inpainting canvas").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y + 20)
    page.mouse.move(x - 40, y, steps=5)
    page.wait_for_timeout(300)
    page.mouse.down()
    page.wait_for_timeout(100)
    page.mouse.move(x + 40, y, steps=15)
    page.mouse.up()
    page.wait_for_timeout(500)
    here(page, "button:text-is('Run')").click()
    here(page, ":text('done: step')").wait_for()

    picture, mask = received[0]["picture"], received[0]["mask"]
    assert pictures.to_images(pictures.to_tensor(pictures.read(picture), 32))[0].tobytes() == draw_picture().tobytes()
    left, _, right, bottom = mask.getbbox()
    # The stroke crosses the middle; on a busy machine the browser may lead into it from the canvas's corner.
    middle = mask.width // 2
    assert mask.getpixel((middle, mask.height // 2)) and left < middle - 30 and middle + 30 < right < mask.width - 60
    assert abs(bottom - mask.height / 2) < mask.height / 8
    assert sum(mask.histogram()[1:]) < mask.width * mask.height / 4


def test_the_page_fits_a_phone(page):
    page.set_viewport_size({"width": 400, "height": 800})
    page.reload()
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert here(page, "button:text-is('Run')").bounding_box()["y"] < 800
