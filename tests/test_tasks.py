"""Laws that every task in ``TASKS`` keeps, whatever its name."""

import copy
import inspect
import itertools
import math

import numpy as np
import pytest
import torch
from PIL import Image

import synth
from synth import pictures
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.constraints import norms
from synth.objectives import logit
from synth.parameters import Choice
from synth.record import Record
from synth.tasks import TASKS
from tests.conftest import (
    EVERY_TASK,
    assert_refused,
    draw_mask,
    every_task_with,
    make_decoders,
    make_model,
    make_start,
    needed,
)


@every_task_with("momentum")
@pytest.mark.parametrize("more", [{}, {"momentum": 0.9, "noise": 0.05}, {"schedule": "cosine"}], ids=str)
def test_result_stays_in_the_ball_and_the_box(task, model, more):
    frame = task(model, **needed(task), epsilon=0.7, step_size=0.5, **more)
    distance = norms(frame.pictures - frame.start)
    assert (distance <= 0.7 + 1e-4).all()
    assert (distance > 0.1).all(), "it moves"
    assert frame.pictures.min() >= 0 and frame.pictures.max() <= 1
    assert frame.pictures.shape[1:] == (3, 32, 32) and frame.pictures.dtype == torch.float32
    assert frame.pictures.isfinite().all() and frame.loss.shape == (len(frame.pictures),)


@every_task_with("momentum")
@pytest.mark.parametrize("preset", ["tuned", "paper"])
def test_loss_falls(task, model, preset):
    settings = needed(task) | {"preset": preset, "steps": 8, "step_size": 0.1, "jitter": 0}
    frames = list(task.frames(model, **settings))
    assert (frames[-1].loss < frames[0].loss).all()


@EVERY_TASK
def test_frames_are_the_start_and_every_step(task, model):
    sent = []
    last = task(model, **needed(task), callback=sent.append)
    frames = list(task.frames(model, **needed(task)))
    steps = frames[-1].steps
    assert [frame.step for frame in frames] == [frame.step for frame in sent] == list(range(steps + 1))
    assert {frame.steps for frame in frames} == {3 if "steps" in task.parameters else steps}
    assert torch.equal(frames[0].pictures, frames[0].start)
    assert torch.equal(frames[-1].pictures, last.pictures)
    assert not any(torch.equal(one.pictures, other.pictures) for one, other in itertools.pairwise(frames))
    side = 32 * int(last.settings.get("size", 1))
    assert [image.size for image in last.images] == [(side, side)] * len(last.pictures)
    assert last.pictures.isfinite().all() and last.pictures.min() >= 0 and last.pictures.max() <= 1
    assert last.loss.shape == (len(last.pictures),) and len(last.captions) in (0, len(last.pictures))


@every_task_with("steps")
def test_closing_stops_the_work(task, model, monkeypatch):
    calls = []
    for owner, name in ((Classifier, "forward"), (Classifier, "feature_map"), (Decoder, "decode_stages")):
        known = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, known=known, **k: calls.append(1) or known(*a, **k))
    frames = task.frames(model, **needed(task) | {"steps": 500})
    next(frames), next(frames)
    done = len(calls)
    assert 1 <= done <= 4
    frames.close()
    assert next(frames, None) is None and len(calls) == done


@every_task_with("seed")
def test_same_seed_same_picture(task, model):
    def run(seed):
        return task(model, **needed(task, seed=seed, noise=0.02, sigma=20)).pictures

    assert torch.equal(run(5), run(5))
    assert not torch.equal(run(5), run(6))


def test_another_seed_is_not_offered_where_the_decoder_gives_the_same_picture(model):
    task = TASKS["reconstruction"]
    one, other = (task(model, **needed(task, seed=seed, show="decoder")).pictures for seed in (5, 6))
    assert torch.equal(one, other) and not task.varies


@EVERY_TASK
def test_every_option_of_every_choice_runs_and_counts(task, model):
    """Each option gives finite pictures, and no two options of a choice the same ones."""
    known = {
        "outside": {"lam": 0, "steps": 4},
        "consistency": {"steps": 4},
        "relative_to": {"normal": "squares"},
        "extent": {name: value for name, value in needed(task, (48, 40)).items() if name in ("picture", "mask")},
    }
    for name, parameter in task.parameters.items():
        if isinstance(parameter, Choice):
            results = [
                task(model, **needed(task) | known.get(name, {}) | {name: option}).pictures
                for option in parameter.options
            ]
            assert all(result.isfinite().all() for result in results)
            for index, result in enumerate(results):
                assert not any(
                    result.shape == other.shape and torch.equal(result, other) for other in results[:index]
                ), f"{name}: {parameter.options[index]} changes nothing"


def test_generation_stops_each_picture_where_real_ones_score(model):
    settings = dict(class_name="dot", count=3, steps=20, jitter=0, seed=1)
    free = [frame.pictures for frame in TASKS["generation"].frames(model, **settings)]
    scores = torch.stack([logit(model.engine(), torch.full((3,), 3))(x) for x in free])
    reached = make_model(real_losses={"logit": [0, 0, 0, scores[7, 1].item() + 1e-4]})
    reached.start_tensors = model.start_tensors
    stopped = TASKS["generation"](reached, stop="like real pictures", **settings).pictures
    for index in range(3):
        hits = (scores[:, index] <= scores[7, 1] + 1e-4).nonzero()
        assert (stopped[index] - free[int(hits[0]) if len(hits) else -1][index]).abs().max() < 1e-4
    settings |= {"stop": "like real pictures", "objective": "cross-entropy"}
    assert_refused(TASKS["generation"], reached, settings, "stop")


@every_task_with("momentum")
def test_every_shared_number_counts(task, model):
    plain = task(model, **needed(task)).pictures
    for change in ({"momentum": 0.9}, {"noise": 0.05}, {"jitter": 0}, {"step_size": 0.07}, {"epsilon": 0.1}):
        assert not torch.equal(task(model, **needed(task) | change).pictures, plain), change


@EVERY_TASK
@pytest.mark.parametrize("training", [False, True])
def test_model_and_global_state_are_left_alone(task, training):
    model = make_model()
    model.start_tensors, model.decoders = make_start(), make_decoders(model)
    model.train(training)
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    task(model, **needed(task, noise=0.02))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(module.training == training for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


@EVERY_TASK
def test_gradients_off_outside_do_no_harm(task, model):
    with torch.no_grad():
        quiet = task(model, **needed(task)).pictures
    assert torch.equal(quiet, task(model, **needed(task)).pictures)


@EVERY_TASK
@pytest.mark.parametrize("left_out", [False, True], ids=["all set", "optional left out"])
def test_settings_in_the_png_repeat_the_picture(task, model, tmp_path, left_out):
    settings = needed(task, (50, 40), noise=0.01, seed=11, epsilon=2 / 3, beside="none")
    if left_out:
        settings = {
            name: value
            for name, value in settings.items()
            if name not in task.parameters or task.parameters[name].required or name in ("noise", "seed")
        } | needed(task, steps=2)
    frame = task(model, **settings)
    frame.save(tmp_path / "x.png")
    record = Record.read(tmp_path / "x.png")
    assert (record.task, record.checkpoint, record.version) == (task.name, "tiny", synth.__version__)
    assert set(record.settings) == set(task.parameters)
    assert torch.equal(TASKS[record.task](model, **record.settings).pictures, frame.pictures)


@EVERY_TASK
def test_a_saved_sheet_shows_the_pictures(task, model, tmp_path):
    frame = task(model, **needed(task, steps=1))
    frame.save(tmp_path / "x.png", zoom=1)
    expected = pictures.sheet(frame.pictures)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "x.png")), np.asarray(expected))
    frame.save(tmp_path / "x.png")
    assert min(Image.open(tmp_path / "x.png").size) >= 128


WRONG = {
    "steps": [0, -1, 2.5, 10**6, "3", None, True],
    "epsilon": [math.nan, math.inf, 0, -1, "x"],
    "step_size": [math.nan, 0, 100],
    "seed": [-1, 2**31, 0.5],
    "momentum": [1, math.inf],
    "noise": [-0.1],
    "schedule": ["linear", None],
    "class_name": ["zebra", 4, -1, 1.5, True],
    "picture": ["nowhere.png", Image.new("L", (1, 1)), np.zeros((8, 8, 3)), 3],
    "mask": ["nowhere.png", Image.new("L", (32, 32)), draw_mask(31, 32), draw_mask(64, 64), 3],
    "brightness": [1],
    "preset": ["best", ""],
}


@EVERY_TASK
def test_wrong_settings_are_one_sentence(task, model):
    for name in {*WRONG} & {*task.parameters, "brightness", "preset"}:
        for value in WRONG[name]:
            assert_refused(task, model, needed(task) | {name: value}, name)


@EVERY_TASK
def test_required_parameters_have_no_default(task, model):
    for name, parameter in task.parameters.items():
        if parameter.required:
            settings = needed(task)
            assert_refused(task, model, settings | {name: None}, name)
            del settings[name]
            assert_refused(task, model, settings, name)
            assert inspect.signature(task).parameters[name].default is inspect.Parameter.empty


@every_task_with("momentum")
def test_presets_of_the_checkpoint_come_between(task):
    model = make_model(presets={task.name: {"tuned": {"steps": 2, "epsilon": 0.5}, "mine": {"steps": 4}}})
    assert task.defaults(model)["steps"] == 2
    assert task.defaults(model, "mine")["steps"] == 4
    assert task.defaults(model, "paper")["epsilon"] == task.presets["paper"]["epsilon"]
    assert task.defaults(make_model())["steps"] == task.parameters["steps"].default
    settings = {name: value for name, value in needed(task).items() if name != "steps"}
    settings |= {"start": "noise"} if "start" in task.parameters else {}
    assert next(task.frames(model, **settings)).steps == 2
    assert next(task.frames(model, preset="mine", **settings)).steps == 4
    assert next(task.frames(model, **settings, steps=9)).steps == 9


@EVERY_TASK
def test_each_task_is_a_documented_function(task):
    assert getattr(synth, task.name) is task
    assert task.__name__ == task.name and task.__doc__.splitlines()[0].endswith(".") and task.title and task.equation
    assert list(inspect.signature(task).parameters) == ["model", *task.parameters, "preset"]


def test_old_names_of_parameters_still_work(picture):
    model = make_model(presets={"painting": {"tuned": {"unit": 9}}})
    assert synth.painting.defaults(model)["feature"] == 9
    frames = [synth.painting(model, picture=picture, steps=2, **{name: 5}) for name in ("unit", "feature")]
    assert torch.equal(frames[0].pictures, frames[1].pictures)
    assert all(frame.settings["feature"] == 5 for frame in frames)


def test_runs_share_one_engine_until_the_model_changes(picture, monkeypatch):
    copies, prepare = [], Classifier.inference_copy
    monkeypatch.setattr(Classifier, "inference_copy", lambda self: copies.append(self) or prepare(self))
    model = make_model()

    def run() -> torch.Tensor:
        return synth.translation(model, picture=picture, class_name=1, steps=2, step_size=0.5).pictures

    first = run()
    assert torch.equal(run(), first) and len(copies) == 1
    with torch.no_grad():
        model.head.weight.mul_(-1)
    assert not torch.equal(run(), first) and len(copies) == 2
    model.start_tensors, model.decoders = make_start(), make_decoders(model)
    run()
    assert len(copies) == 3 and model.engine().decoder is not None
    assert model.engine().engine() is model.engine() and len(copies) == 3
