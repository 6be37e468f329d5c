"""Objectives against closed forms."""

import pytest
import torch
import torch.nn.functional as F

from synth.objectives import (
    Objective,
    activation,
    consistency,
    cropped,
    cross_entropy,
    jittered,
    keep,
    logit,
    resemblance,
    smoothed,
)
from synth.randomness import Generators

LABELS = torch.tensor([2, 0, 3])


@pytest.fixture
def x():
    return torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def test_class_losses(model, x):
    with torch.no_grad():
        logits = model(x)
        chances = logits.softmax(1)[torch.arange(3), LABELS]
        torch.testing.assert_close(cross_entropy(model, LABELS)(x), -chances.log())
        torch.testing.assert_close(logit(model, LABELS)(x), -logits[torch.arange(3), LABELS])


def test_activation_is_minus_one_component_with_the_identity_gradient(model, x):
    x.requires_grad_()
    loss = activation(model, 7)(x)
    torch.testing.assert_close(loss, -model.representation(x)[:, 7])
    (gradient,) = torch.autograd.grad(loss.sum(), x)
    (known,) = torch.autograd.grad(-model.representation(x, identity_gradient=True)[:, 7].sum(), x)
    torch.testing.assert_close(gradient, known)


def test_keep_is_the_mean_square_where_the_weight_is_one(x):
    reference, weight = torch.rand(3, 3, 32, 32), (torch.rand(1, 1, 32, 32) > 0.5).float()
    expected = torch.stack([F.mse_loss(x[i] * weight[0], reference[i] * weight[0]) for i in range(3)])
    torch.testing.assert_close(keep(reference, weight)(x), expected)
    assert (keep(reference, torch.zeros(1, 1, 1, 1))(x) == 0).all()
    grey = torch.full_like(x, 0.5)
    torch.testing.assert_close(keep(grey, torch.ones(1, 1, 32, 32))(grey[..., ::2, ::2] + 0.2), torch.full((3,), 0.04))


def test_consistency_compares_after_degrading(x):
    low = torch.rand(3, 3, 8, 8)
    loss = consistency(low, lambda x: F.avg_pool2d(x, 4))
    torch.testing.assert_close(loss(x), (F.avg_pool2d(x, 4) - low).square().mean((1, 2, 3)))
    assert (consistency(F.avg_pool2d(x, 4), lambda x: F.avg_pool2d(x, 4))(x) == 0).all()


def test_objectives_add_scale_and_negate(x):
    first, second = Objective(lambda x: x.sum((1, 2, 3))), Objective(lambda x: x.square().sum((1, 2, 3)))
    a, b = x.sum((1, 2, 3)), x.square().sum((1, 2, 3))
    torch.testing.assert_close((first + second)(x), a + b)
    torch.testing.assert_close((2 * first)(x), 2 * a)
    torch.testing.assert_close((first * 0.5)(x), a / 2)
    torch.testing.assert_close((-first)(x), -a)
    torch.testing.assert_close((3 * (first + -second) + first)(x), 4 * a - 3 * b)


def test_jitter_shifts_each_picture_its_own_way(x):
    """Every jittered picture is one of the 25 shifts of the reflected picture, and not always the same."""
    padded = F.pad(x, [2] * 4, mode="reflect")
    shifts = [(top, left) for top in range(5) for left in range(5)]
    seen = []
    loss = jittered(Objective(lambda moved: seen.append(moved) or moved.sum((1, 2, 3))), 2, Generators(0))
    for _ in range(40):
        loss(x)
    rows = [
        [
            next(s for s in shifts if torch.equal(moved[i], padded[i, :, s[0] : s[0] + 32, s[1] : s[1] + 32]))
            for i in range(3)
        ]
        for moved in seen
    ]
    assert len({tuple(shift) for row in rows for shift in row}) > 20, "nearly all shifts come up in 120 draws"
    assert any(len(set(row)) > 1 for row in rows), "pictures move apart"


def test_jitter_repeats_by_seed_and_zero_is_none(x):
    plain = Objective(lambda x: x[:, :, 3, 4].sum(1))
    assert jittered(plain, 0, Generators(0)) is plain
    first, second = jittered(plain, 3, Generators(4)), jittered(plain, 3, Generators(5))
    values, alone = first(x), second(x[1:])
    assert torch.equal(values[1:], alone), "picture i of seed s is picture 0 of seed s + i"
    assert not torch.equal(values, first(x)), "another shift at each call"


def test_jitter_passes_gradients_to_the_pixels_it_shows(x):
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(jittered(Objective(lambda x: x.sum((1, 2, 3))), 2, Generators(0))(x).sum(), x)
    torch.testing.assert_close(gradient.sum((1, 2, 3)), torch.full((3,), 3.0 * 32 * 32))


def test_crop_shows_an_enlarged_part_of_each_picture():
    """On pictures that say where each pixel lies, the view's lines are evenly spaced and inside."""
    line = torch.linspace(-1, 1, 65)[1::2]
    places = torch.stack([line[:, None].expand(32, 32), line.expand(32, 32), torch.zeros(32, 32)]).expand(30, 3, 32, 32)
    seen = []
    loss = cropped(Objective(lambda x: seen.append(x) or x.sum((1, 2, 3))), 0.5, Generators(0))
    for _ in range(5):
        loss(places)
    views = torch.cat(seen)
    rows, columns = views[:, 0], views[:, 1]
    assert (rows.std(2) < 1e-5).all() and (columns.std(1) < 1e-5).all(), "no rotation, no shear"
    height, width = (rows[:, -1, 0] - rows[:, 0, 0]) / 2, (columns[:, 0, -1] - columns[:, 0, 0]) / 2
    torch.testing.assert_close(height, width, atol=0.01, rtol=0)  # half a pixel at the rim
    assert 0.47 < height.min() < 0.55 and 0.92 < height.max() <= 1 and views.abs().max() <= 1


def test_crop_repeats_by_seed_and_zero_is_none(x):
    plain = Objective(lambda x: x[:, :, 3, 4].sum(1))
    assert cropped(plain, 0, Generators(0)) is plain
    first, second = cropped(plain, 0.3, Generators(4)), cropped(plain, 0.3, Generators(5))
    values, alone = first(x), second(x[1:])
    torch.testing.assert_close(values[1:], alone, msg="picture i of seed s is picture 0 of seed s + i")
    assert not torch.equal(values, first(x)), "another part at each call"


def test_smoothing_hides_checkerboards_and_keeps_flat_pictures():
    seen = []
    loss = smoothed(Objective(lambda x: seen.append(x) or x.sum((1, 2, 3))), 1)
    flat, board = torch.full((1, 3, 8, 8), 0.3), torch.arange(8)[:, None].add(torch.arange(8)).remainder(2).float()
    loss(flat + 0.4 * (board - 0.5))
    torch.testing.assert_close(seen[0][..., 1:-1, 1:-1], flat[..., 1:-1, 1:-1])
    loss(flat)
    torch.testing.assert_close(seen[1], flat)
    plain = Objective(lambda x: x.sum((1, 2, 3)))
    assert smoothed(plain, 0) is plain


def test_jitter_in_low_precision_stays_inside():
    """A uniform number that rounds to 1 must not shift beyond the padding."""
    loss = jittered(Objective(lambda x: x.float().mean((1, 2, 3))), 4, torch.Generator().manual_seed(0))
    x = torch.rand(2000, 3, 8, 8, dtype=torch.bfloat16)
    assert all(loss(x).isfinite().all() for _ in range(5))


def test_resemblance_is_nothing_for_a_hole_that_repeats_its_surroundings(model):
    stripes = torch.zeros(2, 3, 32, 32)
    stripes[..., ::8, :] = 1
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:16, 8:16] = 1
    engine = model.engine()
    loss = resemblance(engine, mask)
    noise = stripes + 0.5 * mask * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert (loss(stripes).abs() < 1e-3).all() and (loss(noise) > 0.01).all()
    assert (loss(noise[:1]) - loss(noise)[:1]).abs() < 1e-5, "a picture does not depend on its batch"
    assert resemblance(engine, torch.ones(1, 1, 32, 32))(noise).tolist() == [0, 0], "nothing lies outside"
