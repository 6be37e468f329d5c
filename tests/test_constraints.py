"""Laws of the constraints, over random pictures inside and far outside the box."""

import math

import pytest
import torch
import torch.nn.functional as F

from synth.constraints import L2, Box, Inside, Linf, SameMean, detail, norms
from synth.randomness import Generators

BALLS = [L2(0.05), L2(3), L2(), Linf(0.01), Linf(0.3), Linf(), Box()]
SEEDS = range(5)


def random_pair(seed, dtype=torch.float32):
    """A centre in the box and a point around it, for some seeds far outside."""
    random = torch.Generator().manual_seed(seed)
    center = torch.rand(4, 3, 8, 8, generator=random, dtype=dtype)
    return center, center + 0.02 * 10**seed / 100 * torch.randn(4, 3, 8, 8, generator=random, dtype=dtype)


def inside(constraint, x, center, slack=1e-5):
    change = x - center
    far = {L2: lambda: norms(change).max(), Linf: lambda: change.abs().max(), Box: lambda: torch.zeros(())}
    in_ball = far[type(constraint)]() <= getattr(constraint, "epsilon", math.inf) + slack
    return bool(in_ball) and x.min() >= 0 and x.max() <= 1


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("constraint", BALLS, ids=str)
def test_projection_lands_in_ball_and_box_and_stays(constraint, seed):
    center, x = random_pair(seed)
    projected = constraint.project(x, center)
    assert inside(constraint, projected, center)
    torch.testing.assert_close(constraint.project(projected, center), projected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("constraint", BALLS, ids=str)
def test_projection_leaves_points_inside(constraint):
    center = torch.full((2, 3, 8, 8), 0.5)
    x = center + 0.5 * min(getattr(constraint, "epsilon", 1), 1) / 14 * (torch.rand(2, 3, 8, 8) - 0.5)
    torch.testing.assert_close(constraint.project(x, center), x, atol=1e-7, rtol=0)
    assert torch.equal(constraint.project(center, center), center)


@pytest.mark.parametrize("constraint", [L2(0), Linf(0)], ids=str)
def test_a_ball_of_no_radius_is_its_center(constraint):
    center, x = random_pair(3)
    assert torch.equal(constraint.project(center, center), center)
    assert torch.equal(constraint.project(x, center), center)


def test_l2_projection_is_the_nearest_point_of_the_ball():
    center = torch.full((2, 3, 8, 8), 0.5, dtype=torch.float64)
    direction = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    projected = L2(0.7).project(center + direction, center)
    torch.testing.assert_close(projected - center, 0.7 * direction / norms(direction))


@pytest.mark.parametrize("step_size", [0.1, 2.0])
def test_steps_have_the_documented_length(step_size):
    x, gradient = torch.rand(4, 3, 8, 8), torch.randn(4, 3, 8, 8) * torch.tensor([1e-3, 1, 1e3, 1]).view(4, 1, 1, 1)
    torch.testing.assert_close(norms(x - L2(1).step(x, gradient, step_size)).flatten(), torch.full((4,), step_size))
    torch.testing.assert_close((x - Linf(1).step(x, gradient, step_size)), step_size * gradient.sign())
    torch.testing.assert_close(Box().step(x, gradient, step_size), x - step_size * gradient)


@pytest.mark.parametrize("constraint", [ball for ball in BALLS if getattr(ball, "epsilon", 0) < math.inf], ids=str)
@pytest.mark.parametrize("generator", [torch.Generator, lambda: Generators(1)], ids=["one", "one a picture"])
def test_random_start_lies_in_ball_and_box(constraint, generator):
    for seed in SEEDS:
        center, _ = random_pair(seed)
        assert inside(constraint, constraint.random_start(center, generator()), center)


def test_random_starts_lie_where_documented():
    center, random = torch.full((64, 3, 8, 8), 0.5), torch.Generator().manual_seed(0)
    sphere = L2(0.4).random_start(center, random, radius=0.5) - center
    torch.testing.assert_close(norms(sphere).flatten(), torch.full((64,), 0.2))
    assert sphere.mean().abs() < 0.001
    for cube, half in ((Linf(0.2), 0.1), (Box(), 0.25)):
        offset = cube.random_start(center, random, radius=0.5) - center
        assert offset.abs().max() <= half + 1e-6
        assert offset.abs().max() > 0.99 * half
        assert offset.square().mean().sqrt().item() == pytest.approx(half / math.sqrt(3), rel=0.03), "uniform"


def test_start_along_keeps_the_direction():
    center, direction = torch.full((2, 3, 8, 8), 0.5), torch.randn(2, 3, 8, 8)
    moved = L2(0.4).start_along(center, direction, 0.75) - center
    torch.testing.assert_close(moved, 0.3 * direction / norms(direction), atol=1e-6, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("constraint", BALLS, ids=str)
def test_inside_never_changes_outside(constraint, seed):
    center, x = random_pair(seed)
    mask = (torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(seed)) > 0.5).float()
    masked = Inside(constraint, mask)
    stepped = masked.project(masked.step(center, x, 0.5), center)
    outside = (mask == 0).expand_as(x)
    for moved in (stepped, masked.project(x, center)):
        assert torch.equal(moved[outside], center[outside])
        assert not torch.equal(moved, center)
        assert inside(constraint, moved, center)


def test_inside_steps_along_the_masked_gradient():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    x, gradient = torch.rand(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    step = x - Inside(L2(9), mask).step(x, gradient, 0.5)
    torch.testing.assert_close(norms(step).flatten(), torch.full((2,), 0.5))
    torch.testing.assert_close(step / norms(step), gradient * mask / norms(gradient * mask))


def test_inside_spends_the_ball_on_the_mask_alone():
    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    center = torch.full((1, 3, 8, 8), 0.5)
    change = 0.02 * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    radius = norms(change * mask).item() * 1.01
    torch.testing.assert_close(Inside(L2(radius), mask).project(center + change, center), center + change * mask)


@pytest.mark.parametrize("factor", [2, 4, 8])
@pytest.mark.parametrize("seed", SEEDS)
def test_match_gives_the_block_means(factor, seed):
    _, x = random_pair(seed)
    low = torch.rand(4, 3, 8 // factor, 8 // factor, generator=torch.Generator().manual_seed(seed))
    low[0, 0, 0, 0], low[0, 1, 0, 0] = 0, 1
    matched = SameMean(Box(), low, factor).match(x.clamp(0, 1))
    assert matched.min() >= 0 and matched.max() <= 1 and matched.shape == x.shape
    torch.testing.assert_close(F.avg_pool2d(matched, factor), low, atol=1e-5, rtol=0)


@pytest.mark.parametrize("seed", SEEDS)
def test_match_is_the_nearest_point(seed):
    """Non-expansive, idempotent, and an obtuse angle to every other point of the set."""
    center, x = (picture.clamp(0, 1) for picture in random_pair(seed, torch.float64))
    low = torch.rand(4, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    constraint = SameMean(Box(), low, 4)
    first, second = constraint.match(center), constraint.match(x)
    assert (norms(first - second) <= norms(center - x) + 1e-5).all()
    torch.testing.assert_close(constraint.match(first), first, atol=1e-5, rtol=0)
    angle = ((center - first) * (second - first)).sum((1, 2, 3))
    assert (angle <= 1e-4).all()


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("ball", [L2(0.3), Linf(0.02)], ids=str)
def test_same_mean_keeps_the_ball_of_its_center(ball, seed):
    center, x = random_pair(seed)
    constraint = SameMean(ball, F.avg_pool2d(center, 4), 4)
    projected = constraint.project(x, center)
    if isinstance(ball, L2):  # the projection is Euclidean, so the law is too
        assert inside(ball, projected, center, slack=1e-4)
    torch.testing.assert_close(F.avg_pool2d(projected, 4), constraint.low, atol=1e-5, rtol=0)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_detail_has_no_block_means_and_draws_no_blocks(factor):
    x = torch.rand(2, 3, 32, 64, generator=torch.Generator().manual_seed(factor))
    shown = detail(x, factor)
    assert F.avg_pool2d(shown, factor).abs().max() < 2e-3 < F.avg_pool2d(x, factor).min()
    torch.testing.assert_close(detail(torch.ones_like(x), factor), torch.zeros_like(x), atol=1e-5, rtol=0)
    ramp = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    inner = detail(ramp, factor)[..., 24:-24]  # a smooth picture has no detail: subtracting block means left a sawtooth
    assert (
        inner.abs().max() < 1e-3 < (ramp - F.interpolate(F.avg_pool2d(ramp, factor), scale_factor=factor)).abs().max()
    )
