"""The memory of a run: what is kept, what it says, and the files made of it."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import torch
from PIL import Image

from synth import generation, maximisation, pictures
from synth.history import MOST, History, save_zip
from tests.conftest import draw_picture


@pytest.fixture
def history(model) -> History:
    history = History()
    generation(model, count=3, steps=6, seed=1, callback=history.add)
    return history


@pytest.mark.parametrize("steps", [1, 2, MOST - 1, MOST, MOST + 1, 3 * MOST + 1, 400])
def test_the_first_and_the_last_are_kept_and_evenly_some_between(steps, model):
    frames, history = list(generation.frames(model, count=1, steps=1)), History()
    for step in range(steps + 1):
        history.add(type(frames[0])(step, steps, frames[0].pictures, frames[0].loss, frames[0].start, {}))
    assert history.steps[0] == 0 and history.steps[-1] == steps and len(history) <= MOST + 1
    gaps = [b - a for a, b in zip(history.steps, history.steps[1:], strict=False)]
    assert set(gaps[:-1]) <= {gaps[0]} and gaps[-1] <= gaps[0]
    assert len(history) > min(steps, MOST // 2 - 1)
    assert history.steps[history.nearest(steps / 2)] == pytest.approx(steps / 2, abs=gaps[0])


def test_figures_are_those_of_the_frames(history, model):
    last, levels = history.last, torch.stack([pictures.to_tensor(image, 32)[0] for image in history.last.images])
    assert history.steps == list(range(7))
    for index in range(3):
        away = (last.pictures - last.start)[index].norm().item()
        assert history.distances(index)[0] == 0 and history.distances(index)[-1] == pytest.approx(away)
        assert history.losses(index)[-1] == pytest.approx(last.loss[index].item())
        seen = history.probabilities(model, index)
        assert seen.shape == (7, 4) and torch.allclose(seen.sum(1), torch.ones(7))
        assert torch.allclose(seen[-1], model(levels[index][None]).softmax(1)[0], atol=1e-5)
    assert history.sheet(6, side=64).tobytes() == pictures.sheet(levels, zoom=2).tobytes()


def test_the_animation_has_every_kept_step_and_the_settings(history, tmp_path):
    history.save_gif(tmp_path / "run.gif", side=64)
    with Image.open(tmp_path / "run.gif") as gif:
        assert gif.n_frames == 7 and gif.size == history.sheet(0, side=64).size
        assert json.loads(gif.info["comment"])["settings"]["seed"] == 1
        for index in (0, 6):
            gif.seek(index)
            shown, true = (pictures.to_tensor(x.convert("RGB"), 64) for x in (gif, history.sheet(index, side=64)))
            assert (shown - true).abs().mean() < 0.03  # 256 colours


def test_the_archive_has_every_picture_to_the_bit(history, tmp_path):
    save_zip(history.last, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert archive.namelist() == ["01.png", "02.png", "03.png", "sheet.png", "settings.json"]
        for index, image in enumerate(history.last.images):
            with Image.open(io.BytesIO(archive.read(f"{index + 1:02}.png"))) as found:
                assert found.tobytes() == image.tobytes()
        assert json.loads(archive.read("settings.json"))["settings"]["count"] == 3


def test_pictures_in_the_settings_stay_in_the_pngs(model, tmp_path):
    frame = maximisation(model, picture=draw_picture(), class_name="square", steps=1)
    save_zip(frame, tmp_path / "run.zip")
    with zipfile.ZipFile(tmp_path / "run.zip") as archive:
        assert "picture" not in json.loads(archive.read("settings.json"))["settings"]
        archive.extract("01.png", tmp_path)
    assert pictures.settings_of(tmp_path / "01.png")["settings"]["picture"].size == (32, 32)
