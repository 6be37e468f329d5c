"""Laws of the larger sizes, for every task that reaches them by steps."""

import copy

import pytest
import torch
import torch.nn.functional as F

from synth.constraints import L2, norms
from synth.multiscale import REACH, at_both_sizes, enlarge
from synth.objectives import Objective, logit
from synth.pgd import pgd
from synth.record import Record
from synth.tasks import TASKS
from tests.conftest import draw_picture, make_model, needed

OFFERED = [task for task in TASKS.values() if {"size", "epsilon"} <= set(task.parameters)]
every = pytest.mark.parametrize("task", OFFERED, ids=lambda task: task.name)


def few(task) -> dict:
    return needed(task) | ({"count": 2} if "count" in task.parameters else {})


@every
def test_one_run_shows_the_native_steps_and_then_the_larger_ones(task, model):
    native = list(task.frames(model, **few(task)))
    frames = list(task.frames(model, **few(task), size="4"))
    assert [frame.pictures.shape[-1] for frame in frames] == [32] * 4 + [64] * 2 + [128] * 2
    assert [frame.step for frame in frames] == list(range(8)) and {frame.steps for frame in frames} == {7}
    assert all(frame.start.shape == frame.pictures.shape for frame in frames)
    for one, other in zip(native, frames, strict=False):
        assert torch.equal(one.pictures, other.pictures) and torch.equal(one.loss, other.loss)
    assert [image.size for image in frames[-1].images] == [(128, 128)] * len(frames[-1].pictures)


@every
def test_a_larger_stage_stays_near_the_enlarged_result_before_it(task, model):
    settings = few(task) | {"epsilon": 0.7, "step_size": 2, "noise": 0.01, "momentum": 0.5}
    frames = list(task.frames(model, **settings, size="4"))
    for factor, before, after in ((2, 3, 5), (4, 5, 7)):
        moved = norms(frames[after].pictures - enlarge(frames[before].pictures, 2))
        assert (moved <= REACH * factor * 0.7 + 1e-4).all()
        assert (moved > 0.1).all(), "it moves"
        assert frames[after].pictures.min() >= 0 and frames[after].pictures.max() <= 1


@every
def test_the_loss_falls_at_every_size(task, model):
    settings = few(task) | {"steps": 12, "step_size": 0.2, "jitter": 0}
    frames = list(task.frames(model, **settings, size="4"))
    for first, last in ((13, 18), (19, 24)):  # a frame's loss is that of the pictures one step before
        assert (frames[last].loss < frames[first].loss).all()


@every
def test_settings_in_the_png_repeat_a_larger_picture(task, model, tmp_path):
    frame = task(model, **few(task) | {"noise": 0.01, "seed": 11}, size="2")
    frame.save(tmp_path / "x.png")
    settings = Record.read(tmp_path / "x.png").settings
    assert settings["size"] == 2
    assert torch.equal(task(model, **settings).pictures, frame.pictures)
    del settings["size"]  # as in a PNG from before there was a choice
    assert task(model, **settings).pictures.shape[-1] == 32


@every
@pytest.mark.parametrize("size", ["3", "8", 3, None, ""])
def test_other_sizes_are_one_sentence(task, model, size):
    with pytest.raises(ValueError, match=r"^size: expected one of 1, 2, 4, got [^\n]+$"):
        next(task.frames(model, **few(task), size=size))


def test_a_large_picture_alone_equals_its_row(model):
    """In double precision, so that rounding, which depends on the batch, flips no ReLU."""
    exact = copy.deepcopy(model).double()
    settings = {"steps": 4, "noise": 0.01, "momentum": 0.5, "size": "4"}
    together = TASKS["generation"](exact, count=2, seed=7, **settings).pictures
    for index in range(2):
        alone = TASKS["generation"](exact, count=1, seed=7 + index, class_name=index, **settings).pictures
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)


COARSE = [task for task in TASKS.values() if "coarse_steps" in task.parameters]


@pytest.mark.parametrize("task", COARSE, ids=lambda task: task.name)
def test_coarse_steps_come_first_at_half_the_size_and_stay_in_the_ball(task, model):
    settings = few(task) | {"epsilon": 0.7, "step_size": 0.3, "jitter": 0}
    frames = list(task.frames(model, **settings, coarse_steps=4))
    assert [frame.step for frame in frames] == list(range(8)) and {frame.steps for frame in frames} == {7}
    assert {frame.pictures.shape for frame in frames} == {frames[0].start.shape}
    start = frames[0].pictures
    assert all((norms(frame.pictures - start) <= 0.7 + 1e-4).all() for frame in frames)
    assert (frames[4].loss < frames[1].loss).all() and not torch.equal(frames[4].pictures, frames[5].pictures)
    assert torch.equal(frames[0].pictures, next(task.frames(model, **settings)).pictures)


@pytest.mark.parametrize("name", ["inpainting", "painting"])
def test_coarse_steps_may_only_penalise_what_lies_outside(name, model):
    settings = few(TASKS[name]) | {"outside": "penalty", "lam": 1000, "epsilon": 2, "jitter": 0}
    frame = TASKS[name](model, **settings, coarse_steps=2)
    changed = (frame.pictures - frame.start).abs().amax((0, 1))
    assert changed.min() > 0 and changed.max() > 10 * changed.min()


def test_coarse_steps_fit_odd_sizes():
    odd = make_model(image_size=33)
    assert TASKS["translation"](odd, picture=draw_picture(33, 33), class_name=1, steps=1, coarse_steps=2).step == 3


def test_a_coarse_step_is_one_at_half_the_size(model):
    picture = 0.3 + 0.4 * torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    settings = dict(class_name=2, coarse_steps=1, steps=1, epsilon=5, step_size=0.4, jitter=0, smoothing=0)
    frames = list(TASKS["translation"].frames(model, picture=picture, **settings))
    start = frames[0].pictures
    small = F.avg_pool2d(start, 2)
    moved = pgd(logit(model.engine(), torch.tensor([2])), small, L2(2.5), steps=1, step_size=0.2)
    expected = start + F.interpolate(moved - small, scale_factor=2, mode="bilinear")
    assert torch.allclose(frames[1].pictures, expected, atol=1e-5)


def test_both_sizes_are_seen_and_weighed():
    loss = at_both_sizes(Objective(lambda x: x.mean((1, 2, 3)) * x.shape[-1]), 32)
    x = torch.tensor([0.25, 0.5]).view(2, 1, 1, 1).expand(2, 3, 64, 64)
    torch.testing.assert_close(loss(x), torch.tensor([0.25, 0.5]) * (2 * 64 + 32) / 3)
