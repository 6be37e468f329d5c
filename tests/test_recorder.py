"""A recorder keeps what the run showed, within its bounds; what it writes holds the same pictures and settings."""

import itertools
import json
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

import synth
from synth import pictures, recorder
from synth.constraints import norms
from synth.record import KEY, Record
from synth.recorder import Recorder, save_zip
from synth.tasks import TASKS, Frame
from tests.conftest import CLASSES, draw_picture, needed

PICTURE = draw_picture()


def make_run(model, task="generation", most=60, **settings):
    """A recorder and its frames."""
    kept, frames = Recorder(model, most), list(TASKS[task].frames(model, **settings))
    for frame in frames:
        kept.add(frame)
    return kept, frames


def make_frames(count: int, pictures: int = 2, side: int = 4):
    """Frames without a model, each of pictures that belong to its step alone."""
    start = torch.zeros(pictures, 3, side, side)
    for step in range(count):
        x = torch.full_like(start, (step % 256) / 255)
        yield Frame(
            step, count - 1, x, torch.full((pictures,), -float(step)), start, Record("toy", "tiny", {"epsilon": 1.0})
        )


@pytest.fixture(scope="module")
def run(model):
    return make_run(model, count=3, class_name="dot", steps=6, epsilon=3, step_size=0.5)


@pytest.mark.parametrize("most", [2, 3, 7, 60])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 60, 61, 62, 301])
def test_first_and_last_are_kept_whatever_the_length(most, count):
    kept = Recorder(None, most)
    for frame in make_frames(count):
        kept.add(frame)
        assert kept.steps[0] == 0 and kept.steps[-1] == frame.step, "at every moment, so that a run can be stopped"
        assert len(kept) <= most
    assert len(kept) >= min(count, most // 2)


@pytest.mark.parametrize("count", [60, 61, 100, 301, 1000])
def test_what_is_kept_is_spread_evenly(count):
    kept = Recorder(None)
    for frame in make_frames(count):
        kept.add(frame)
    gaps = [after - before for before, after in itertools.pairwise(kept.steps)]
    assert len(set(gaps[:-1])) == 1 and 1 <= gaps[-1] <= gaps[0]
    for index, step in enumerate(kept.steps):
        assert (kept.pictures(index) * 255).round().eq(step % 256).all() and kept.loss[index].eq(-step).all()


def test_many_pictures_are_kept_at_fewer_steps(monkeypatch):
    monkeypatch.setattr(recorder, "BYTES", 10 * 2 * 3 * 4 * 4)
    kept = Recorder(None)
    for frame in make_frames(100):
        kept.add(frame)
        assert sum(moment.levels.numel() for moment in kept._moments) <= recorder.BYTES
    assert len(kept) >= 5 and kept.steps[-1] == 99


def test_series_are_those_of_the_frames(run):
    kept, frames = run
    assert kept.steps == list(range(7)) and kept.epsilon == 3 and kept.target == "dot"
    assert torch.equal(kept.loss, torch.stack([frame.loss for frame in frames]))
    expected = norms(frames[-1].pictures - frames[-1].start).flatten()
    assert torch.equal(kept.distance[-1], expected) and kept.distance[0].eq(0).all()
    assert expected.min() > 0.1 and (kept.distance <= kept.epsilon + 1e-4).all()


def test_pictures_are_those_of_a_png(run):
    kept, frames = run
    for index, frame in enumerate(frames):
        shown = pictures.to_images(kept.pictures(index))
        assert [image.tobytes() for image in shown] == [image.tobytes() for image in frame.images]
        assert kept.sheet(index, zoom=2).tobytes() == pictures.sheet(frame.pictures, zoom=2).tobytes()


def test_probabilities_are_those_of_the_model(model, run):
    kept, _ = run
    probabilities = kept.probabilities
    assert probabilities.shape == (7, 3, len(CLASSES)) and torch.allclose(probabilities.sum(2), torch.ones(7, 3))
    for index in range(7):
        with torch.no_grad():
            assert torch.allclose(probabilities[index], model(kept.pictures(index)).softmax(1), atol=1e-4)
    assert probabilities.std((0, 1)).max() > 0.01, "pictures differ"


def test_the_model_is_asked_once_a_step_and_after_the_run_only(model, monkeypatch):
    asked = []
    fold = type(model).inference_copy
    frames = list(synth.generation.frames(model, count=2, steps=8))
    monkeypatch.setattr(type(model), "inference_copy", lambda self: asked.append(self) or fold(self))
    monkeypatch.setattr(recorder, "BATCH", 3)
    kept = Recorder(model, most=6)
    for frame in frames[:4]:
        kept.add(frame)
    assert not asked
    early = kept.probabilities
    for frame in frames[4:]:
        kept.add(frame)
    late = kept.probabilities
    assert torch.equal(late, kept.probabilities) and len(asked) == 2
    assert kept.steps == [0, 2, 4, 6, 8] and torch.equal(late[:2], early[[0, 2]])


def test_top_is_the_target_then_the_most_probable(model, run):
    kept, _ = run
    peak = kept.probabilities.amax((0, 1)).tolist()
    others = sorted((name for name in CLASSES if name != "dot"), key=lambda name: -peak[CLASSES.index(name)])
    assert kept.top() == ["dot", *others] and kept.top(2) == ["dot", others[0]]
    free, _ = make_run(model, count=4, steps=3)
    for picture in range(4):
        peak = free.probabilities[:, picture].amax(0).tolist()
        assert free.target is None and free.top(4, picture) == sorted(CLASSES, key=lambda n: -peak[CLASSES.index(n)])


def test_rows_are_the_series_in_long_form(run):
    kept, _ = run
    rows = kept.rows("distance")
    assert len(rows) == 21 and set(rows[0]) == {"step", "picture", "distance"}
    assert all(row["distance"] == kept.distance[row["step"], row["picture"]].item() for row in rows)
    assert kept.rows("loss", 1) == [{"step": n, "picture": 1, "loss": kept.loss[n, 1].item()} for n in range(7)]
    rows = kept.class_rows(2, picture=2)
    assert len(rows) == 14 and [row["class"] for row in rows[:2]] == kept.top(2, 2)
    for row in rows:
        assert row["picture"] == 2
        assert row["probability"] == kept.probabilities[row["step"], 2, CLASSES.index(row["class"])].item()
    assert json.loads(json.dumps(rows)) == rows


@pytest.mark.parametrize("count, size", [(1, (128, 128)), (3, (388, 128))])
def test_gif_has_every_kept_step_its_size_and_its_settings(model, tmp_path, count, size):
    kept, frames = make_run(model, count=count, steps=9, epsilon=8, step_size=1)
    kept.save_gif(tmp_path / "x.gif", seconds=2)
    with Image.open(tmp_path / "x.gif") as image:
        assert image.n_frames == len(kept) == 10 and image.size == size and image.info["loop"] == 0
        durations = []
        for index in range(image.n_frames):
            image.seek(index)
            durations.append(image.info["duration"])
            shown = np.asarray(image.convert("RGB"), dtype=float)
            truth = np.asarray(kept.sheet(index, zoom=4), dtype=float)
            assert 10 * np.log10(255**2 / np.square(shown - truth).mean()) > 28
            assert (shown[:, 128:130] == 255).all(), "the frame stays white"
    assert durations == [recorder.FIRST, *[200] * 8, recorder.LAST]
    assert Record.read(tmp_path / "x.gif") == frames[0].record


def test_a_gif_repeats_its_run(model, tmp_path):
    kept, frames = make_run(model, "translation", picture=PICTURE, class_name="dot", steps=4)
    kept.save_gif(tmp_path / "x.gif", zoom=1)
    again = synth.translation(model, **Record.read(tmp_path / "x.gif").settings)
    assert torch.equal(again.pictures, frames[-1].pictures)


def test_a_gif_of_equal_steps_takes_as_long(tmp_path):
    kept = Recorder(None)
    for frame in make_frames(5):
        kept.add(Frame(frame.step, 4, frame.start + 0.5, frame.loss, frame.start, frame.record))
    kept.save_gif(tmp_path / "x.gif", seconds=1)
    with Image.open(tmp_path / "x.gif") as image:
        assert image.info["duration"] == recorder.FIRST + 3 * 200 + recorder.LAST
        assert image.convert("RGB").getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_zip_holds_every_picture_to_the_bit_with_its_settings(model, tmp_path, task):
    frame = task(model, **needed(task, count=11))
    side = frame.pictures.shape[-1]
    save_zip(frame, tmp_path / "x.zip")
    frame.save(tmp_path / "sheet.png")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(tmp_path / "out")
    names = [f"{task.name}-{index + 1:02d}.png" for index in range(len(frame.pictures))]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*names, "settings.json", "sheet.png"])
    for name, image in zip(names, frame.images, strict=True):
        with Image.open(tmp_path / "out" / name) as saved:
            assert saved.size == (side, side) and saved.tobytes() == image.tobytes()
            assert saved.text[KEY] == frame.record.to_json()
        assert Record.read(tmp_path / "out" / name).task == task.name
    assert (tmp_path / "out" / "sheet.png").read_bytes() == (tmp_path / "sheet.png").read_bytes()
    assert json.loads((tmp_path / "out" / "settings.json").read_text()) == json.loads(frame.record.to_json())


def test_what_does_not_fit_is_refused_with_one_sentence(run, tmp_path):
    kept, frames = run
    for call, words in [
        (lambda: Recorder(None, most=1), "most: expected at least 2"),
        (lambda: kept.add(frames[3]), "frame: expected a step after 6, got 3"),
        (lambda: kept.pictures(7), "index: expected 0 to 6, got 7"),
        (lambda: kept.sheet(-1), "index: expected 0 to 6, got -1"),
        (lambda: Recorder(None).save_gif(tmp_path / "x.gif"), "recorder: expected at least one frame"),
        (lambda: kept.save_gif(tmp_path / "x.gif", zoom=0), "zoom: expected 1 to 64"),
        (lambda: kept.save_gif(tmp_path / "x.gif", seconds=0), "seconds: expected 0.1 to 60"),
    ]:
        with pytest.raises(ValueError, match=f"^{words}"):
            call()
    assert not list(tmp_path.iterdir())
    Image.new("P", (8, 8)).save(tmp_path / "foreign.gif", comment="foreign")
    with pytest.raises(ValueError, match="^like: expected a PNG"):
        Record.read(tmp_path / "foreign.gif")


def test_a_run_that_grows_is_shown_at_one_size(model, tmp_path):
    kept, frames = make_run(model, count=2, steps=4, size="2")
    assert {frame.pictures.shape[-1] for frame in frames} == {32, 64}
    assert {kept.sheet(index, zoom=2).size for index in range(len(kept))} == {(2 * 128 + 2, 128)}
    assert kept.probabilities.shape == (len(frames), 2, 4) and kept.distance.shape == (len(frames), 2)
    kept.save_gif(tmp_path / "run.gif", zoom=1)
    with Image.open(tmp_path / "run.gif") as gif:
        assert gif.size == (2 * 64 + 2, 64)
