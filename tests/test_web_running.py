"""Runs on the page: their line, their progress, their pictures."""

from __future__ import annotations

import re
import threading
import time
from contextlib import closing
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
from synth.web.line import LINE, Line
from synth.web.reuse import next_seeds
from synth.web.run import Run
from synth.web.running import Waiting, describe, stream
from synth.web.views import Layout, sheet
from synth.web.whole_files import save_pil_to_cache
from tests.conftest import EVERY_TASK, needed

pytestmark = pytest.mark.usefixtures("tiny")


@EVERY_TASK
def test_a_stream_begins_at_once_and_ends_with_what_python_gives(task):
    settings, frames = needed(task), []
    expected = list(task.frames(load("tiny"), **settings))
    run, last = stream(task, "tiny", settings, frames.append), len(expected) - 1
    start = next(run)
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
    assert describe(end).endswith(" Row by row: circle, square, stripe.")


def test_a_bad_value_is_refused_as_in_python():
    for settings in ({"steps": 0}, {"class_name": "unicorn"}, {"nonsense": 1}):
        with pytest.raises(ValueError) as expected:
            TASKS["generation"](load("tiny"), **settings)
        with pytest.raises(gr.Error) as error:
            list(stream(TASKS["generation"], "tiny", settings))
        assert error.value.message == str(expected.value) and len(LINE) == 0


def test_a_second_run_waits_for_the_first():
    with closing(stream(TASKS["generation"], "tiny", {"steps": 50})) as first:
        next(first)
        second = stream(TASKS["generation"], "tiny", {"steps": 1})
        waiting = next(second)
        assert isinstance(waiting, Waiting) and waiting.ahead == 1 and waiting.seconds > 0
        assert describe(waiting).startswith("Waiting: 1 before you, about ")
    *_, end = second
    assert end.done and end.frame.step == 1
    assert len(LINE) == 0


def test_the_line_is_first_come_first_served_and_says_when_it_is_full(monkeypatch):
    queue, served = Line(), []

    def visit(number):
        with queue.place() as ahead:
            while ahead(0.05):
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
    monkeypatch.setattr(line, "MOST_WAITING", 1)
    with queue.place(), queue.place():
        with pytest.raises(ValueError, match=r"^queue: .* the queue is full, try again"), queue.place():
            pass
        assert len(queue) == 2
    assert len(queue) == 0


def test_a_long_run_ends_only_if_others_wait(monkeypatch):
    monkeypatch.setattr(running, "PATIENCE", 0)
    *_, alone = stream(TASKS["generation"], "tiny", {"steps": 20, "count": 1})
    assert alone.frame.step == 20 and not alone.ended_early
    with LINE.place() as runs_ahead:
        long = stream(TASKS["generation"], "tiny", {"steps": 20, "count": 1})
        assert isinstance(next(long), Waiting) and not runs_ahead()
    with LINE.place():  # now behind it
        *_, end = long
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
