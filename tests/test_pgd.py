"""The loop against a float64 transcription of the published one (MadryLab/robustness), and its own promises."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from synth.constraints import L2, Box, Linf
from synth.pgd import cosine, iterate, pgd
from synth.randomness import Generators

SHAPE = (3, 3, 5, 4)
RANDOM = np.random.default_rng(0)
HIDDEN = RANDOM.normal(size=(16, math.prod(SHAPE[1:]))) / 2
OUTPUT = RANDOM.normal(size=(4, 16))
PICTURES = RANDOM.uniform(size=SHAPE)
LABELS = np.array([2, 0, 3])


def reference_loss(x, labels):
    """Cross-entropy of a two-layer network and its gradient by the picture, by hand."""
    hidden = np.tanh(x.reshape(len(x), -1) @ HIDDEN.T)
    logits = hidden @ OUTPUT.T
    odds = np.exp(logits - logits.max(1, keepdims=True))
    chances = odds / odds.sum(1, keepdims=True)
    losses = -np.log(chances[np.arange(len(x)), labels])
    errors = chances - np.eye(4)[labels]
    return losses, ((errors @ OUTPUT * (1 - hidden**2)) @ HIDDEN).reshape(x.shape)


def lengths(x):
    return np.sqrt((x**2).sum((1, 2, 3), keepdims=True))


def published(kind, x, center, *, epsilon, step, steps, targeted, use_best):
    """Every state of the published loop: step along the gradient, back into the ball, clamp to [0, 1]."""
    sign = -1 if targeted else 1
    best, best_loss, states = None, None, []

    def remember(x, losses):
        nonlocal best, best_loss
        if best is None:
            best, best_loss = x.copy(), losses.copy()
        better = sign * losses > sign * best_loss
        best[better], best_loss[better] = x[better], losses[better]

    for _ in range(steps):
        losses, gradient = reference_loss(x, LABELS)
        remember(x, losses)
        if kind is L2:
            x = x + sign * step * gradient / (lengths(gradient) + 1e-10)
            change = x - center
            with np.errstate(divide="ignore"):
                x = center + change * np.minimum(1, epsilon / lengths(change))
        elif kind is Linf:
            x = x + sign * step * np.sign(gradient)
            x = center + np.clip(x - center, -epsilon, epsilon)
        else:
            x = x + sign * step * gradient
        x = np.clip(x, 0, 1)
        states.append(x)
    if use_best:
        remember(x, reference_loss(x, LABELS)[0])
        states[-1] = best
    return states


def loss_of(labels, targeted=True):
    """The same network in torch, minimised when ``targeted``."""
    hidden, output, labels = torch.tensor(HIDDEN), torch.tensor(OUTPUT), torch.tensor(labels)

    def loss(x):
        logits = torch.tanh(x.flatten(1).double() @ hidden.T) @ output.T
        return (1 if targeted else -1) * F.cross_entropy(logits, labels, reduction="none")

    return loss


@pytest.mark.parametrize("use_best", [False, True])
@pytest.mark.parametrize("random_start", [False, True])
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(
    ("constraint", "step"),
    [
        (L2(0.3), 0.2),
        (L2(2), 0.7),
        (L2(), 0.7),
        (Linf(0.05), 0.02),
        (Linf(0.4), 0.15),
        (Linf(), 0.3),
        (Box(), 0.05),
        (Box(), 1.0),
    ],
    ids=str,
)
def test_every_step_equals_the_published_loop(constraint, step, targeted, random_start, use_best):
    center = torch.tensor(PICTURES)
    finite = getattr(constraint, "epsilon", 1) < math.inf
    around = constraint if finite else L2(1)
    start = around.random_start(center, torch.Generator().manual_seed(3)) if random_start else center
    expected = published(
        type(constraint),
        start.numpy(),
        PICTURES,
        epsilon=getattr(constraint, "epsilon", None),
        step=step,
        steps=9,
        targeted=targeted,
        use_best=use_best,
    )
    states = list(
        iterate(loss_of(LABELS, targeted), start, constraint, steps=9, step_size=step, center=center, best=use_best)
    )
    assert [state.step for state in states] == list(range(1, 10))
    for state, known in zip(states, expected, strict=True):
        np.testing.assert_allclose(state.pictures.numpy(), known, atol=1e-6, rtol=0)
    assert np.abs(expected[-1] - PICTURES).max() > 0.01, "the case should move"


def test_best_is_kept_when_steps_overshoot():
    """Steps of 0.3 towards a point 0.1 away swing to 0.2 on the other side and back."""
    goal = torch.full((2, 3, 8, 8), 0.5, dtype=torch.float64)
    start = goal + 0.1 / math.sqrt(192)
    last, best = (
        pgd(lambda x: (x - goal).square().sum((1, 2, 3)), start, L2(), steps=9, step_size=0.3, best=best)
        for best in (False, True)
    )
    np.testing.assert_allclose(lengths((last - goal).numpy()), 0.2)
    np.testing.assert_allclose(lengths((best - goal).numpy()), 0.1)


def test_loss_is_that_of_the_state_before():
    loss, start = loss_of(LABELS), torch.tensor(PICTURES)
    states = list(iterate(loss, start, L2(1), steps=3, step_size=0.2))
    before = [start, *(state.pictures for state in states[:-1])]
    for state, pictures in zip(states, before, strict=True):
        torch.testing.assert_close(state.loss, loss(pictures))


def test_no_momentum_is_the_plain_loop_and_momentum_adds_unit_gradients():
    loss, start = loss_of(LABELS), torch.full(SHAPE, 0.5, dtype=torch.float64)
    settings = dict(steps=2, step_size=0.01)
    plain = pgd(loss, start, L2(), **settings)
    assert torch.equal(pgd(loss, start, L2(), momentum=0, **settings), plain)
    x, velocity = start.numpy(), 0
    for _ in range(2):
        gradient = reference_loss(x, LABELS)[1]
        velocity = 0.8 * velocity + gradient / lengths(gradient)
        x = x - 0.01 * velocity / lengths(velocity)
    heavy = pgd(loss, start, L2(), momentum=0.8, **settings)
    np.testing.assert_allclose(heavy.numpy(), x, atol=1e-7)
    assert (heavy - plain).abs().max() > 1e-5


def test_schedule_gives_each_step_its_size():
    loss, start = loss_of(LABELS), torch.full(SHAPE, 0.5, dtype=torch.float64)
    asked = []

    def schedule(step, steps):
        asked.append((step, steps))
        return 0.1 / (step + 1)

    states = list(iterate(loss, start, L2(), steps=3, step_size=schedule))
    assert asked == [(0, 3), (1, 3), (2, 3)]
    before = start
    for index, state in enumerate(states):
        np.testing.assert_allclose(lengths((state.pictures - before).numpy()), 0.1 / (index + 1), rtol=1e-6)
        before = state.pictures


def test_cosine_falls_from_the_whole_size_to_nearly_zero():
    sizes = [cosine(0.4)(step, 100) for step in range(100)]
    assert sizes[0] == 0.4
    assert sizes[50] == pytest.approx(0.2)
    assert 0 < sizes[-1] < 0.001
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("randomness", [lambda seed: torch.Generator().manual_seed(seed), Generators])
def test_noise_comes_from_the_generator_alone(randomness):
    def run(seed):
        return pgd(
            loss_of(LABELS),
            torch.tensor(PICTURES),
            L2(1),
            steps=3,
            step_size=0.1,
            noise=0.05,
            generator=randomness(seed),
        )

    state = torch.get_rng_state()
    assert torch.equal(run(1), run(1))
    assert not torch.equal(run(1), run(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_noise_has_its_deviation_and_stays_in_the_ball():
    start = torch.full((2, 3, 64, 64), 0.5)
    change = pgd(lambda x: 0 * x.sum((1, 2, 3)), start, Box(), steps=1, step_size=1, noise=0.05) - start
    assert change.std().item() == pytest.approx(0.05, rel=0.03)
    change = pgd(lambda x: 0 * x.sum((1, 2, 3)), start, L2(0.5), steps=2, step_size=1, noise=0.05) - start
    np.testing.assert_allclose(lengths(change.numpy()), 0.5, rtol=1e-5)


def test_a_picture_rests_once_its_loss_is_reached_and_the_loop_ends_when_all_rest():
    target = torch.rand(3, *SHAPE[1:])

    def loss(x):
        return (x - target).flatten(1).norm(dim=1)

    start = torch.rand(3, *SHAPE[1:])
    until = torch.tensor([100.0, 2.0, 0.0])
    ball, settings = L2(100), dict(steps=30, step_size=0.25)
    free = [state.pictures for state in iterate(loss, start, ball, **settings)]
    states = list(iterate(loss, start, ball, until=until, **settings))
    assert torch.equal(states[-1].pictures[0], start[0])
    reached = next(i for i, x in enumerate(free) if loss(x)[1] <= 2)
    assert torch.equal(states[-1].pictures[1], free[reached][1]) and 0 < reached < 29
    assert torch.equal(states[-1].pictures[2], free[-1][2]) and len(states) == 30
    assert len(list(iterate(loss, start, ball, until=until + 100, **settings))) == 1


def test_callback_sees_every_state():
    seen = []
    result = pgd(loss_of(LABELS), torch.tensor(PICTURES), L2(1), steps=4, step_size=0.1, callback=seen.append)
    assert [state.step for state in seen] == [1, 2, 3, 4]
    assert torch.equal(seen[-1].pictures, result)
    assert not torch.equal(seen[0].pictures, seen[1].pictures)


def test_closing_stops_the_work():
    calls = []

    def loss(x):
        calls.append(1)
        return x.sum((1, 2, 3))

    states = iterate(loss, torch.rand(SHAPE), L2(1), steps=100, step_size=0.1)
    assert not calls, "no work before it is asked for"
    next(states), next(states)
    states.close()
    assert len(calls) == 2, "one forward pass a step"
    assert next(states, None) is None


@pytest.mark.parametrize("wrong", [lambda x: x.sum(), lambda x: x.flatten(1), lambda x: x.sum((1, 2, 3))[:1]])
def test_loss_of_another_shape_is_refused(wrong):
    with pytest.raises(ValueError, match=r"^loss: expected one value a picture, shape \(3,\), got"):
        pgd(wrong, torch.rand(SHAPE), L2(1), steps=1, step_size=0.1)


@pytest.mark.parametrize("constraint", [L2(1), L2(), Linf(1), Linf(), Box()], ids=str)
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_zero_gradient_leaves_the_picture(constraint, momentum):
    start = torch.rand(SHAPE)
    settings = dict(steps=3, step_size=1, momentum=momentum)
    assert torch.equal(pgd(lambda x: 0 * x.sum((1, 2, 3)), start, constraint, **settings), start)


@pytest.mark.parametrize("constraint", [L2(1), Linf(0.1), Box()], ids=str)
@pytest.mark.parametrize("momentum", [0, 0.9])
def test_a_picture_does_not_depend_on_its_batch(constraint, momentum):
    start = torch.tensor(PICTURES)
    settings = dict(steps=6, step_size=0.1, momentum=momentum, noise=0.01, best=True)
    together = pgd(loss_of(LABELS), start, constraint, generator=Generators(5), **settings)
    for index in range(len(start)):
        one = slice(index, index + 1)
        alone = pgd(loss_of(LABELS[one]), start[one], constraint, generator=Generators(5 + index), **settings)
        np.testing.assert_allclose(alone.numpy(), together[one].numpy(), atol=1e-9)


def test_start_is_not_changed_and_results_carry_no_graph():
    start = torch.rand(SHAPE, requires_grad=True)
    before = start.detach().clone()
    result = pgd(loss_of(LABELS), start, L2(1), steps=2, step_size=0.1)
    assert torch.equal(start, before) and start.grad is None and not result.requires_grad
