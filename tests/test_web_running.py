"""Runs on the page: their line, their progress, their pictures."""

from __future__ import annotations

import re
import threading
import time
from contextlib import ExitStack, closing
from pathlib import Path

import gradio as gr
import numpy as np
import pytest
import torch
from gradio import processing_utils
from PIL import Image

from synth import TASKS, hub
from synth.web import line, running
from synth.web.checkpoints import download, load
from synth.web.gpu import run_on_worker
from synth.web.line import LINE, Line
from synth.web.reuse import next_seeds
from synth.web.run import Run
from synth.web.running import Waiting, describe, stream
from synth.web.views import Layout, sheet
from synth.web.whole_files import save_pil_to_cache
from tests.conftest import EVERY_TASK, needed

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def every_step(monkeypatch):
    """A turn is one step."""
    monkeypatch.setattr(running, "RATE", 1e9)


@EVERY_TASK
def test_a_stream_begins_at_once_and_ends_with_what_python_gives(task, every_step):
    settings, frames = needed(task), []
    expected = list(task.frames(load("tiny"), **settings))
    run, last = stream(task, "tiny", settings, frames.append), len(expected) - 1
    start = next(run)
    assert run_on_worker(torch.is_grad_enabled), "as the next run needs it"
    assert start.frame.step == 0 and not start.done and sheet(start.frame.pictures).size[0] >= 128
    assert describe(start).startswith(f"Step 0 of {last}, 0.")
    *_, end = run
    assert end.done and not end.ended_early and re.match(rf"Done in \d+\.\d s, {last} steps?\.", describe(end))
    assert [frame.step for frame in frames] == list(range(last + 1))
    assert torch.equal(end.frame.pictures, expected[-1].pictures)
    assert len(LINE) == 0


def test_several_classes_are_named_in_order():
    *_, end = stream(TASKS["generation"], "tiny", {"count": 3, "steps": 1})
    assert end.rows == ("circle", "square", "stripe")
    assert describe(end).endswith(" 1 step.")


def test_a_bad_value_is_refused_as_in_python():
    for settings in ({"steps": 0}, {"class_name": "unicorn"}, {"nonsense": 1}):
        with pytest.raises(ValueError) as expected:
            TASKS["generation"](load("tiny"), **settings)
        with pytest.raises(gr.Error) as error:
            list(stream(TASKS["generation"], "tiny", settings))
        assert error.value.message == str(expected.value) and len(LINE) == 0


def test_runs_take_turns_and_each_gives_what_it_gives_alone(every_step):
    settings = {"steps": 20, "count": 2, "seed": 1}
    alone = TASKS["generation"](load("tiny"), **settings)
    first, second = (stream(TASKS["generation"], "tiny", settings | {"steps": steps}) for steps in (20, 3))
    assert next(first).frame.step == 0 and next(first).frame.step == 1
    start = next(second)
    assert start.frame.step == 0 and ", in turn with 1 other." in describe(start)
    *_, end = second
    assert end.done and end.frame.step == 3
    assert next(first).frame.step == 2
    *_, end = first
    assert torch.equal(end.frame.pictures, alone.pictures)
    assert len(LINE) == 0


def test_a_run_waits_where_those_in_turn_hold_much_memory(monkeypatch):
    monkeypatch.setattr(line, "PIXELS", 1)
    with closing(stream(TASKS["generation"], "tiny", {"steps": 50})) as first:
        next(first)
        second = stream(TASKS["generation"], "tiny", {"steps": 1})
        waiting = next(second)
        assert isinstance(waiting, Waiting) and describe(waiting) == "Waiting: 1 before you."
    *_, end = second
    assert end.done and end.frame.step == 1
    assert len(LINE) == 0


def test_runs_in_turn_are_of_few_checkpoints():
    queue = Line()
    with ExitStack() as stack:
        places = [stack.enter_context(queue.place(checkpoint=str(number))) for number in range(line.CHECKPOINTS + 1)]
        for place in places[:-1]:
            assert place.ahead() == 0
            place.rest()
        assert places[-1].ahead() == line.CHECKPOINTS
        with queue.place(checkpoint="0") as other:
            assert other.ahead() == 0
            other.rest()
            places[-1].asks = True
            with queue.place(checkpoint="0") as later:
                assert later.ahead() > 0, "who came first begins first"


def test_the_next_turn_is_of_whoever_had_the_shortest_time(monkeypatch):
    now, queue = [0.0], Line()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with queue.place() as one, queue.place() as other:
        for place, seconds in ((one, 5), (other, 2)):
            assert place.ahead() == 0
            now[0] += seconds
            place.rest()
        one.asks = other.asks = True
        with queue.place() as new:
            assert new.ahead() == 0 < min(one.ahead(), other.ahead()), "who comes is next"
            now[0] += 1
            new.rest()
            new.asks = one.asks = True
            assert other.ahead() == 0, "and counted as 2 seconds, of which it had one more"


def test_a_waiting_run_shows_the_same_frame_again_and_can_be_stopped(every_step):
    run = stream(TASKS["generation"], "tiny", {"steps": 9})
    frame = next(run).frame
    with LINE.place() as place:
        assert place.ahead() == 0
        again = next(run)
        assert again.frame is frame and not again.done
        run.close()
        assert len(LINE) == 1


def test_a_run_gives_way_to_somebody_without_a_place(monkeypatch, every_step):
    monkeypatch.setattr(line, "MOST", 2)
    monkeypatch.setattr(running, "current", lambda: "somebody")
    first, second = (stream(TASKS["generation"], "tiny", {"steps": 9}) for _ in range(2))
    for run in (first, second, second):
        shown = next(run).frame
    with LINE.place("another"):
        (end,) = second
        assert end.frame is shown and end.ended_early and end.done
        *_, end = first
        assert end.frame.step == 9 and not end.ended_early


def test_one_run_after_another_where_only_one_may_have_begun(monkeypatch):
    queue, served = Line(most=1), []

    def visit(number):
        with queue.place() as place:
            while place.ahead(0.05):
                pass
            place.rest()
            while place.ahead(0.05):
                pass
            served.append(number)
            time.sleep(0.02)

    people = []
    for number in range(5):
        people.append(threading.Thread(target=visit, args=(number,)))
        people[-1].start()
        while len(queue) <= number and len(served) + len(queue) <= number:
            time.sleep(0.001)
    for person in people:
        person.join()
    assert served == [0, 1, 2, 3, 4] and len(queue) == 0


def test_a_full_line_says_so(monkeypatch):
    monkeypatch.setattr(line, "MOST", 2)
    with LINE.place(), LINE.place():
        with pytest.raises(ValueError, match=r"^queue: .* the queue is full, try again"), LINE.place():
            pass
        assert len(LINE) == 2
    assert len(LINE) == 0


def test_a_run_whose_pictures_come_to_rest_is_done(monkeypatch, every_step):
    model = load("tiny")
    monkeypatch.setitem(model.real_losses, "logit", [1e6] * len(model.classes))
    *_, end = stream(TASKS["generation"], "tiny", {"steps": 50, "stop": "like real pictures"})
    assert end.done and end.frame.step < 50 and describe(end).startswith("Done in ")


def test_a_long_run_ends_only_if_others_wait(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", 0)
    *_, alone = stream(TASKS["generation"], "tiny", {"steps": 20, "count": 1})
    assert alone.frame.step == 20 and not alone.ended_early
    with LINE.place():
        *_, end = stream(TASKS["generation"], "tiny", {"steps": 20, "count": 1})
    assert end.frame.step < 20 and end.done and end.ended_early
    assert describe(end).endswith("since others wait.")


@pytest.mark.parametrize(
    "rows", [(), ("short", "a caption that is so long that it takes more than one line") * 3 + ("x",)]
)
def test_the_picture_under_the_pointer(rows):
    frame = TASKS["generation"](load("tiny"), steps=1, count=7)
    run = Run(frame, rows)
    page, layout = run.sheet(pixels=True), Layout.of(7, 32, rows)
    for index, image in enumerate(frame.images):
        x, y = (corner + layout.side - 1 for corner in layout.corner(index))
        assert run.at(x, y) == index and page.getpixel((x, y)) == image.getpixel((31, 31))


@pytest.mark.parametrize("count", [2, 8, 32])
def test_a_walk_shows_the_chosen_picture_large_above_all_of_them(count):
    model, picture = load("tiny"), Image.new("RGB", (32, 32), "red")
    frame = TASKS["interpolation"](model, picture=picture, other=Image.new("RGB", (32, 32), "blue"), count=count)
    assert Run(frame).walk.current == count // 2 and Run(frame, chosen=1).walk.current == 1
    run = Run(frame)
    page, colours = run.sheet(pixels=True), [image.getpixel((16, 16)) for image in frame.images]
    assert page.getpixel((224, 224)) == colours[count // 2] and run.picture.getpixel((16, 16)) == colours[count // 2]
    assert run.at(224, 224) == count // 2
    for index in range(count):
        x, y = (corner + run.walk.side // 2 for corner in run.walk.corner(index))
        assert run.at(x, y) == index and page.getpixel((x, y)) == colours[index]
    assert Run(frame, chosen=1, other=frame).sheet().size == sheet(frame.pictures).size, "beside another: alike"


def test_variations_repeat_no_picture():
    for task, settings in (("generation", {"count": 3}), ("inpainting", {})):
        assert next_seeds(TASKS[task], settings | {"seed": 5}) == [
            5 + settings.get("count", 1) * n for n in (1, 2, 3, 4)
        ]
    assert max(next_seeds(TASKS["generation"], {"count": 64, "seed": 2**31 - 1})) < 2**31
    with pytest.raises(ValueError, match=r"^count: expected a whole number"):
        next_seeds(TASKS["generation"], {"count": 2.5, "seed": 0})


def test_a_download_shows_how_far_it_is(monkeypatch, tmp_path):
    def slow(name, progress):
        progress(1_000_000, 5_600_000)
        time.sleep(0.5)
        return tmp_path

    monkeypatch.setattr(hub, "folder", slow)
    sentences = list(download("owner/name"))
    assert sentences and set(sentences) <= {"Downloading owner/name: 1.0 of 5.6 MB"}


def test_a_failed_download_is_reported(monkeypatch):
    def refused(name, progress):
        raise ValueError("checkpoint: expected a reachable Hub repository, got 'owner/name'")

    monkeypatch.setattr(hub, "folder", refused)
    with pytest.raises(ValueError, match="reachable Hub"):
        list(download("owner/name"))


def test_a_picture_that_is_shown_again_stays_whole_for_its_readers(tmp_path):
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
    assert sizes == {whole} and [str(file) for file in tmp_path.rglob("*.png")] == [path]
