"""What parameters of single tasks promise: class, focus, mask, outside, fill, consistency, feature, texture, depth."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw

import synth
from synth import constraints, pictures
from synth.constraints import norms
from synth.tasks import super_resolution, translation
from synth.tasks.super_resolution import back_projected, enlarged
from tests.conftest import assert_refused, draw_mask, draw_picture, every_task_with, needed


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


@pytest.mark.parametrize("size", [1, 2])
def test_focus_leaves_alone_what_the_model_does_not_look_at(size, model, picture, monkeypatch):
    left = (torch.arange(32) < 16).float().expand(1, 1, 32, 32)
    monkeypatch.setattr(translation, "looked_at", lambda model, x: left)
    shares = []
    for focus in (0, 0.8, 1):
        frame = synth.translation(model, picture=picture, class_name=1, coarse_steps=2, steps=4, size=size, focus=focus)
        change = (frame.pictures - frame.start).abs().sum((0, 1, 2))
        shares.append(change[18 * size :].sum() / change.sum())  # the right, but for what interpolation mixes
    assert shares[0] > 0.2 and 0.01 < shares[1] < 0.6 * shares[0] and shares[2] < 1e-6


def test_a_model_looks_at_where_its_features_are_long(model, picture):
    lengths = torch.tensor([[2.0, 2], [1, 2]]).repeat_interleave(8, 0).repeat_interleave(8, 1).view(1, 1, 16, 16)
    seen = translation.loud(torch.cat([lengths, 0 * lengths]), (32, 32))
    assert torch.equal(seen[1], torch.zeros(1, 32, 32))  # nothing anywhere, not something everywhere
    assert (seen[0, 0, :12] == 1).all() and (seen[0, 0, :, 20:] == 1).all()
    torch.testing.assert_close(seen[0, 0, 20:, :12], torch.full((12, 12), 0.375))  # half as long: 0.5, of 0.35 to 0.75
    x = pictures.to_tensor(picture, 32)
    lengths = model.feature_map(x).square().mean(1, keepdim=True).sqrt()
    assert torch.equal(translation.looked_at(model, x), translation.loud(lengths, (32, 32)))


@pytest.mark.parametrize(
    ("file", "module", "names"),
    [
        ("problems", translation, ("QUIET", "LOUD")),
        ("problems", super_resolution, ("BACK_PROJECTIONS",)),
        ("enlarge", super_resolution, ("FLAT",)),
        ("holes", constraints, ("RIM",)),
    ],
)
def test_the_page_without_a_server_computes_with_the_same_constants(file, module, names):
    script = (Path(__file__).resolve().parent.parent / "browser" / "js" / f"{file}.js").read_text()
    for name in names:
        assert float(re.search(rf"^const {name} = (.+);$", script, re.MULTILINE)[1]) == getattr(module, name)


@every_task_with("outside")
@pytest.mark.parametrize("noise", [0, 0.05])
def test_exact_never_touches_the_outside(task, model, noise):
    frame = task(model, **needed(task), outside="exact", noise=noise)
    outside = pictures.to_mask(draw_mask(), 32).expand_as(frame.pictures) == 0
    change = (frame.pictures - pictures.to_tensor(draw_picture(), 32)).abs()
    assert change[outside].max() <= 1e-6 and change[~outside].max() > 0.01


@every_task_with("outside")
def test_penalty_holds_the_outside(task, model):
    model = copy.deepcopy(model)
    with torch.no_grad():  # a faint class, and a faint feature, against lambda
        model.head.weight *= 0.01
    settings = needed(task) | {"outside": "penalty", "steps": 12, "step_size": 0.1, "jitter": 0}
    settings |= {"strength": 0.01} if "strength" in task.parameters else {}
    free, held = (task(model, **settings, lam=lam).pictures for lam in (0, 1000))
    outside = pictures.to_mask(draw_mask(), 32) == 0
    image = pictures.to_tensor(draw_picture(), 32)
    changes = [norms((one - image) * outside).item() for one in (free, held)]
    assert changes[1] < 0.5 * changes[0]


@pytest.mark.parametrize("fill", ["surroundings", "mean", "noise"])
def test_inpainting_starts_without_what_was_in_the_hole(model, picture, mask, fill):
    other = picture.copy()
    other.paste((0, 255, 0), mask=mask)
    starts = [
        synth.inpainting(model, picture=one, mask=mask, fill=fill, steps=1, seed=3).start for one in (picture, other)
    ]
    torch.testing.assert_close(*starts, atol=1e-6, rtol=0)


def test_inpainting_without_a_mask_takes_a_random_square_per_picture(model, picture):
    frame = synth.inpainting(model, picture=[picture] * 2, steps=2, seed=3)
    for index in range(2):
        alone = synth.inpainting(model, picture=picture, steps=2, seed=3 + index)
        torch.testing.assert_close(alone.start[0], frame.start[index], atol=1e-5, rtol=0)
    holes = [change.any(0).nonzero() for change in frame.pictures != pictures.to_tensor(picture, 32)]
    assert all((hole.max(0).values - hole.min(0).values < 12).all() for hole in holes)
    assert not torch.equal(*(hole.min(0).values for hole in holes))


def test_a_smooth_picture_is_filled_by_its_surroundings(model, mask):
    ramp = np.repeat(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], 32, 0).repeat(3, 2)
    start = synth.inpainting(model, picture=ramp, mask=mask, steps=1).start
    torch.testing.assert_close(start, pictures.to_tensor(Image.fromarray(ramp), 32), atol=0.02, rtol=0)


def test_painting_without_a_mask_paints_a_disc_low_in_the_picture(model):
    picture = draw_picture(448, 448)
    disc = Image.new("L", picture.size)
    ImageDraw.Draw(disc).ellipse((104, 144, 404, 444), fill=255)
    frame = synth.painting(model, picture=picture, steps=3)
    assert torch.equal(frame.pictures, synth.painting(model, picture=picture, mask=disc, steps=3).pictures)
    changed = (frame.pictures != frame.start).any(1)[0]
    assert 0 < changed.sum() <= 22**2 and not changed[:10].any() and not changed[:, :7].any()
    assert frame.settings["mask"] is None, "so that the default holds when it is repeated"


def test_painting_raises_its_own_unit(model, picture, mask):
    for feature in (3, 40):
        frame = synth.painting(model, picture=picture, mask=mask, feature=feature, steps=12)
        before, after = (model.representation(x)[0] for x in (frame.start, frame.pictures))
        assert after[feature] > before[feature] + 0.1
    assert_refused(synth.painting, model, dict(picture=picture, mask=mask, feature=64), "feature")


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("upsampling", ["total variation", "bicubic", "nearest"])
def test_hard_consistency_gives_back_the_input(model, picture, factor, upsampling):
    small = picture.resize((32 // factor, 32 // factor), Image.Resampling.BOX)
    settings = dict(picture=small, factor=str(factor), upsampling=upsampling, steps=4, step_size=0.5, epsilon=1)
    low = pictures.to_tensor(small, 32 // factor)
    for noise in (0, 0.05):
        frame = synth.super_resolution(model, **settings, noise=noise)
        torch.testing.assert_close(F.avg_pool2d(frame.pictures, factor), low, atol=1e-3, rtol=0)
    free = synth.super_resolution(model, **settings, consistency="none").pictures
    assert (F.avg_pool2d(free, factor) - low).abs().max() > 1e-3


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_least_variation_has_cleaner_edges_and_is_nearer_than_back_projection(factor):
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    truth = torch.where(rows + 0.5 * columns > 50, 0.8, 0.3).expand(1, 3, 64, 64).contiguous()
    low = F.avg_pool2d(truth, factor)
    bicubic = back_projected(enlarged(low, factor, "bicubic"), low, factor)
    plain = enlarged(low, factor, "total variation")
    moves = [(x[..., :-1, 1:] - x[..., :-1, :-1], x[..., 1:, :-1] - x[..., :-1, :-1]) for x in (plain, bicubic)]
    variation = [(across.square() + down.square()).sum(1).sqrt().sum() for across, down in moves]
    assert variation[0] < variation[1]
    assert (plain - truth).square().mean() < 0.8 * (bicubic - truth).square().mean()
    assert (F.avg_pool2d(plain, factor) - low).abs().max() < 0.03


def test_soft_consistency_pulls_towards_the_input(model, picture):
    settings = dict(picture=picture, consistency="soft", steps=12, step_size=0.2, epsilon=3, jitter=0)
    low = pictures.to_tensor(picture, 8)
    errors = [
        (F.avg_pool2d(synth.super_resolution(model, lam=lam, **settings).pictures, 4) - low).norm() for lam in (0, 1000)
    ]
    assert errors[1] < 0.5 * errors[0]


def test_sketch_lays_grain_over_the_drawing(model):
    flat = Image.new("RGB", (32, 32), (128, 128, 128))
    start = synth.sketch(model, picture=flat, class_name="dot", texture=0.1, steps=1).start
    assert start.std().item() == pytest.approx(0.1, rel=0.05)
    assert synth.sketch(model, picture=flat, class_name="dot", texture=0, steps=1).start.std() < 1e-6


def test_softness_blurs_the_edges_of_a_drawing(model):
    drawing = Image.new("RGB", (32, 32), "black")
    drawing.paste("white", (16, 0, 32, 32))
    hard, soft = (
        synth.sketch(model, picture=drawing, class_name="dot", texture=0, softness=softness, steps=1).start
        for softness in (0, 2)
    )
    assert hard.diff(dim=3).abs().max() == 1 and soft.diff(dim=3).abs().max() < 0.25
    assert torch.equal(soft[..., 0], hard[..., 0]) and soft.mean().item() == pytest.approx(0.5, abs=1e-3)


def test_reconstruction_from_every_depth(model, picture):
    frame = synth.reconstruction(model, picture=picture, depth=3, show="every depth")
    alone = [synth.reconstruction(model, picture=picture, depth=depth, show="decoder") for depth in (1, 2, 3)]
    torch.testing.assert_close(frame.pictures, torch.cat([one.pictures for one in alone]), atol=1e-5, rtol=0)
    torch.testing.assert_close(frame.loss, torch.cat([one.loss for one in alone]), atol=1e-5, rtol=0)
    assert frame.captions == ("after 1 stage", "after 2 stages", "after 3 stages")
    assert list(synth.TASKS["reconstruction"].compare(frame, picture)) == list(frame.captions)
