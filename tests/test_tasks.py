"""Laws that every task in ``TASKS`` keeps, whatever its name; then what single parameters promise."""

import copy
import inspect
import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

import synth
from synth import pictures
from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.constraints import norms
from synth.parameters import Choice, Mask, Picture
from synth.record import Record
from synth.tasks import TASKS
from tests.conftest import CLASSES, draw_mask, draw_picture, make_decoders, make_model, make_start, needed


def having(kind=None, name=None):
    """Tasks with a parameter of that kind or name."""
    return [
        task
        for task in TASKS.values()
        if (name in task.parameters if name else any(isinstance(one, kind) for one in task.parameters.values()))
    ]


def every(tasks=None):
    tasks = list(TASKS.values()) if tasks is None else tasks
    assert tasks
    return pytest.mark.parametrize("task", tasks, ids=lambda task: task.name)


def refused(task, model, settings, name):
    with pytest.raises(ValueError, match=rf"^{name}: expected [^\n]+$"):
        next(task.frames(model, **settings))


@pytest.fixture(scope="module")
def exact_model(model):
    """In double precision, so that rounding, which depends on the batch, flips no ReLU."""
    exact = copy.deepcopy(model).double()
    exact.decoders = {name: decoder.double() for name, decoder in exact.decoders.items()}
    return exact


@every(having(name="momentum"))
@pytest.mark.parametrize("more", [{}, {"momentum": 0.9, "noise": 0.05}, {"schedule": "cosine"}], ids=str)
def test_result_stays_in_the_ball_and_the_box(task, model, more):
    frame = task(model, **needed(task), epsilon=0.7, step_size=0.5, **more)
    distance = norms(frame.pictures - frame.start)
    assert (distance <= 0.7 + 1e-4).all()
    assert (distance > 0.1).all(), "it moves"
    assert frame.pictures.min() >= 0 and frame.pictures.max() <= 1
    assert frame.pictures.shape[1:] == (3, 32, 32) and frame.pictures.dtype == torch.float32
    assert frame.pictures.isfinite().all() and frame.loss.shape == (len(frame.pictures),)


@every(having(name="momentum"))
@pytest.mark.parametrize("preset", ["tuned", "paper"])
def test_loss_falls(task, model, preset):
    settings = needed(task) | {"preset": preset, "steps": 8, "step_size": 0.1, "jitter": 0}
    frames = list(task.frames(model, **settings))
    assert (frames[-1].loss < frames[0].loss).all()


@every()
def test_frames_are_the_start_and_every_step(task, model):
    seen = []
    last = task(model, **needed(task), callback=seen.append)
    frames = list(task.frames(model, **needed(task)))
    steps = frames[-1].steps
    assert [frame.step for frame in frames] == [frame.step for frame in seen] == list(range(steps + 1))
    assert {frame.steps for frame in frames} == {3 if "steps" in task.parameters else steps}
    assert torch.equal(frames[0].pictures, frames[0].start)
    assert torch.equal(frames[-1].pictures, last.pictures)
    assert not any(torch.equal(one.pictures, other.pictures) for one, other in itertools.pairwise(frames))
    side = 32 * int(last.settings.get("size", 1))
    assert [image.size for image in last.images] == [(side, side)] * len(last.pictures)
    assert last.pictures.isfinite().all() and last.pictures.min() >= 0 and last.pictures.max() <= 1
    assert last.loss.shape == (len(last.pictures),) and len(last.captions) in (0, len(last.pictures))


@every(having(name="steps"))
def test_closing_stops_the_work(task, model, monkeypatch):
    calls = []
    for owner, name in ((Classifier, "feature_map"), (Decoder, "decode_stages")):
        known = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *a, known=known, **k: calls.append(1) or known(*a, **k))
    frames = task.frames(model, **needed(task) | {"steps": 500})
    next(frames), next(frames)
    done = len(calls)
    assert 1 <= done <= 4
    frames.close()
    assert next(frames, None) is None and len(calls) == done


@every(having(name="seed"))
def test_same_seed_same_picture(task, model):
    def run(seed):
        return task(model, **needed(task, seed=seed, noise=0.02)).pictures

    assert torch.equal(run(5), run(5))
    assert not torch.equal(run(5), run(6))


@every()
def test_every_option_of_every_choice_runs_and_counts(task, model):
    """Each option gives finite pictures, and no two options of a choice the same ones."""
    known = {
        "outside": {"lam": 0, "steps": 4},
        "consistency": {"steps": 4},
        "relative_to": {"normal": "squares"},
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


@every(having(name="momentum"))
def test_every_shared_number_counts(task, model):
    plain = task(model, **needed(task)).pictures
    for change in ({"momentum": 0.9}, {"noise": 0.05}, {"jitter": 0}, {"step_size": 0.07}, {"epsilon": 0.1}):
        assert not torch.equal(task(model, **needed(task) | change).pictures, plain), change


@every()
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


@every()
def test_gradients_off_outside_do_no_harm(task, model):
    with torch.no_grad():
        quiet = task(model, **needed(task)).pictures
    assert torch.equal(quiet, task(model, **needed(task)).pictures)


@every()
@pytest.mark.parametrize("left_out", [False, True], ids=["all given", "optional left out"])
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


@every()
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
    "brightness": [1],
    "preset": ["best", ""],
}


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [
        pytest.param(task, name, value, id=f"{task.name}-{name}-{value}")
        for task in TASKS.values()
        for name, values in WRONG.items()
        if name in (*task.parameters, "brightness", "preset")
        for value in values
    ],
)
def test_wrong_settings_are_one_sentence(task, model, name, value):
    refused(task, model, needed(task) | {name: value}, name)


@every(having(name="class_name"))
@pytest.mark.parametrize("value", ["zebra", 4, -1, 1.5, True])
def test_unknown_classes_are_one_sentence(task, model, value):
    refused(task, model, needed(task) | {"class_name": value}, "class_name")


@every()
def test_what_is_required_must_be_needed(task, model):
    for name, parameter in task.parameters.items():
        if parameter.required:
            settings = needed(task)
            refused(task, model, settings | {name: None}, name)
            del settings[name]
            refused(task, model, settings, name)
            assert inspect.signature(task).parameters[name].default is inspect.Parameter.empty


@every(having(Picture))
@pytest.mark.parametrize(
    "value", ["nowhere.png", Image.new("L", (1, 1)), np.zeros((8, 8, 3)), 3], ids=["path", "tiny", "floats", "number"]
)
def test_bad_pictures_are_one_sentence(task, model, value):
    refused(task, model, needed(task) | {"picture": value}, "picture")


@every(having(Mask))
def test_bad_masks_are_one_sentence(task, model):
    for value in (draw_mask(31, 32), draw_mask(64, 64), "nowhere.png", 3):
        refused(task, model, needed(task) | {"mask": value}, "mask")
    refused(task, model, needed(task) | {"mask": Image.new("L", (32, 32))}, "mask")


@every(having(name="momentum"))
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


@every()
def test_each_task_is_a_documented_function(task):
    assert getattr(synth, task.name) is task
    assert task.__name__ == task.name and task.__doc__.splitlines()[0].endswith(".") and task.title and task.equation
    assert list(inspect.signature(task).parameters) == ["model", *task.parameters, "preset"]


@every(having(name="start"))
@pytest.mark.parametrize("start", ["gaussian", "mixture", "noise"])
def test_a_picture_alone_equals_its_row(task, exact_model, start):
    """Picture i of seed s is picture 0 of seed s + i, whatever its companions."""
    model = exact_model
    settings = dict(start=start, steps=4, noise=0.01, momentum=0.5)
    together = task(model, count=3, seed=7, **settings).pictures
    for index in range(3):
        alone = task(model, count=1, seed=7 + index, class_name=index, **settings).pictures
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)
    torch.testing.assert_close(task(model, count=1, seed=7, **settings).pictures[0], together[0], atol=1e-5, rtol=0)


@every(having(Picture))
def test_each_picture_of_several_equals_the_picture_alone(task, exact_model):
    """Picture i of seed s is that picture alone with seed s + i, with its own class, mask and other pictures."""
    images = [draw_picture(), draw_picture().rotate(90), draw_picture().rotate(180)]
    several = needed(task) | {"picture": images}
    several |= {"mask": [draw_mask(), draw_mask().rotate(90), draw_mask().rotate(180)], "seed": 7}
    several |= {"class_name": list(CLASSES[:3]), "other": images[::-1], "style": images[::-1], "beside": "none"}
    several = {name: value for name, value in several.items() if name in task.parameters}
    each = {name: value for name, value in several.items() if isinstance(value, list)}
    frame = task(exact_model, **several)
    shape = (-1, 3) if frame.captions else (3, -1)  # kind by kind, or picture by picture
    rows = frame.pictures.unflatten(0, shape)
    for index in range(3):
        alone = several | {name: values[index] for name, values in each.items()}
        alone |= {"seed": 7 + index} if "seed" in task.parameters else {}
        row = rows[:, index] if frame.captions else rows[index]
        torch.testing.assert_close(task(exact_model, **alone).pictures, row, atol=1e-5, rtol=0)


def test_random_squares_of_several_pictures_are_their_own(model, picture):
    frame = synth.inpainting(model, picture=[picture] * 2, steps=1, seed=3)
    for index in range(2):
        alone = synth.inpainting(model, picture=picture, steps=1, seed=3 + index)
        torch.testing.assert_close(alone.start[0], frame.start[index], atol=1e-5, rtol=0)
    assert not torch.equal(*frame.start)


@every(having(Picture))
def test_as_many_classes_and_masks_as_pictures(task, model, picture):
    for name in ("class_name", "mask", "other", "style"):
        if name in task.parameters:
            value = {"class_name": CLASSES[:2], "mask": [draw_mask()] * 2}.get(name, [picture] * 2)
            refused(task, model, needed(task) | {"picture": [picture] * 3, name: value}, name)
            with pytest.raises(ValueError, match=f"^{name}: expected one, got 2$"):
                task.check_single({name: list(value)})


def test_generation_takes_its_classes_in_turn(model):
    few = synth.generation(model, class_name=["dot", "square"], count=3, steps=2)
    for index, name in enumerate(("dot", "square", "dot")):
        alone = synth.generation(model, class_name=name, count=1, steps=2, seed=index)
        torch.testing.assert_close(alone.pictures[0], few.pictures[index], atol=1e-4, rtol=0)


def test_maximisation_of_one_class_equals_its_row(exact_model, picture):
    model = exact_model
    settings = dict(picture=picture, steps=4, noise=0.01)
    together = synth.maximisation(model, seed=7, **settings).pictures
    assert len(together) == len(CLASSES)
    for index, name in enumerate(CLASSES):
        alone = synth.maximisation(model, class_name=name, seed=7 + index, **settings).pictures
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)


@every(having(name="outside"))
@pytest.mark.parametrize("noise", [0, 0.05])
def test_exact_never_touches_the_outside(task, model, noise):
    frame = task(model, **needed(task), outside="exact", noise=noise)
    outside = pictures.to_mask(draw_mask(), 32).expand_as(frame.pictures) == 0
    given = pictures.to_tensor(draw_picture(), 32)
    assert (frame.pictures - given)[outside].abs().max() <= 1e-6
    assert (frame.pictures - given)[~outside].abs().max() > 0.01


@every(having(name="outside"))
def test_penalty_holds_the_outside(task, model):
    model = copy.deepcopy(model)
    with torch.no_grad():  # a faint class, and a faint feature, against lambda
        model.head.weight *= 0.01
    settings = needed(task) | {"outside": "penalty", "steps": 12, "step_size": 0.1, "jitter": 0}
    settings |= {"strength": 0.01} if "strength" in task.parameters else {}
    free, held = (task(model, **settings, lam=lam).pictures for lam in (0, 1000))
    outside = pictures.to_mask(draw_mask(), 32) == 0
    given = pictures.to_tensor(draw_picture(), 32)
    changes = [norms((one - given) * outside).item() for one in (free, held)]
    assert changes[1] < 0.5 * changes[0]


@pytest.mark.parametrize("fill", ["surroundings", "mean", "noise"])
def test_inpainting_starts_without_what_was_in_the_hole(model, picture, mask, fill):
    other = picture.copy()
    other.paste((0, 255, 0), mask=mask)
    starts = [
        synth.inpainting(model, picture=one, mask=mask, fill=fill, steps=1, seed=3).start for one in (picture, other)
    ]
    torch.testing.assert_close(*starts, atol=1e-6, rtol=0)


def test_painting_without_a_mask_paints_a_disc_in_the_middle(model):
    picture = draw_picture(448, 448)
    disc = Image.new("L", picture.size)
    ImageDraw.Draw(disc).ellipse((112, 112, 336, 336), fill=255)
    frame = synth.painting(model, picture=picture, steps=3)
    assert torch.equal(frame.pictures, synth.painting(model, picture=picture, mask=disc, steps=3).pictures)
    changed = (frame.pictures != frame.start).any(1)[0]
    assert 0 < changed.sum() <= 17**2 and not changed[:8].any() and not changed[:, :8].any()
    assert frame.settings["mask"] is None, "so that the default holds when it is repeated"


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


def test_inpainting_without_a_mask_takes_a_random_square(model, picture):
    frames = [synth.inpainting(model, picture=picture, steps=2, seed=seed) for seed in (0, 1)]
    given = pictures.to_tensor(picture, 32)
    holes = [(frame.pictures != given).any(1)[0].nonzero() for frame in frames]
    assert all((hole.max(0).values - hole.min(0).values < 12).all() for hole in holes)
    assert not torch.equal(*(hole.min(0).values for hole in holes))


def test_a_smooth_picture_is_filled_by_its_surroundings(model, mask):
    ramp = np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    start = synth.inpainting(model, picture=ramp, mask=mask, steps=1).start
    torch.testing.assert_close(start, pictures.to_tensor(Image.fromarray(ramp), 32), atol=0.02, rtol=0)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("upsampling", ["bicubic", "nearest"])
def test_hard_consistency_gives_back_the_input(model, picture, factor, upsampling):
    small = picture.resize((32 // factor, 32 // factor), Image.Resampling.BOX)
    settings = dict(picture=small, factor=str(factor), upsampling=upsampling, steps=4, step_size=0.5, epsilon=1)
    given = pictures.to_tensor(small, 32 // factor)
    for noise in (0, 0.05):
        frame = synth.super_resolution(model, **settings, noise=noise)
        torch.testing.assert_close(F.avg_pool2d(frame.pictures, factor), given, atol=1e-3, rtol=0)
    free = synth.super_resolution(model, **settings, consistency="none").pictures
    assert (F.avg_pool2d(free, factor) - given).abs().max() > 1e-3


def test_soft_consistency_pulls_towards_the_input(model, picture):
    settings = dict(picture=picture, consistency="soft", steps=12, step_size=0.2, epsilon=3, jitter=0)
    given = pictures.to_tensor(picture, 8)
    errors = [
        (F.avg_pool2d(synth.super_resolution(model, lam=lam, **settings).pictures, 4) - given).norm()
        for lam in (0, 1000)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_painting_raises_its_own_unit(model, picture, mask):
    for feature in (3, 40):
        frame = synth.painting(model, picture=picture, mask=mask, feature=feature, steps=12)
        before, after = (model.representation(x)[0] for x in (frame.start, frame.pictures))
        assert after[feature] > before[feature] + 0.1
    refused(synth.painting, model, dict(picture=picture, mask=mask, feature=64), "feature")


def test_sketch_lays_grain_over_the_drawing(model):
    flat = Image.new("RGB", (32, 32), (128, 128, 128))
    start = synth.sketch(model, picture=flat, class_name="dot", texture=0.1, steps=1).start
    assert start.std().item() == pytest.approx(0.1, rel=0.05)
    assert synth.sketch(model, picture=flat, class_name="dot", texture=0, steps=1).start.std() < 1e-6


def test_the_class_is_what_is_asked_or_what_the_model_sees(model, picture):
    seen = model(pictures.to_tensor(picture, 32)).argmax().item()
    settings = dict(picture=picture, steps=2, outside="exact")
    guessed = synth.inpainting(model, mask=draw_mask(), **settings)
    start = model(guessed.start).argmax().item()
    named = synth.inpainting(model, mask=draw_mask(), class_name=start, **settings)
    other = synth.inpainting(model, mask=draw_mask(), class_name=(start + 1) % 4, **settings)
    assert torch.equal(guessed.pictures, named.pictures) and not torch.equal(guessed.pictures, other.pictures)
    target = (seen + 1) % 4
    moved = synth.translation(model, picture=picture, class_name=target, steps=40, objective="cross-entropy").pictures
    assert model(moved).argmax().item() == target
