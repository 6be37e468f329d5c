"""The tasks that are projected gradient descent on pictures: a problem to hand to the one loop, and what they share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import torch
from torch import Tensor

from synth.classifier import Classifier
from synth.constraints import L2, Constraint, Inside
from synth.multiscale import REACH, at_both_sizes, changed, enlarge, factors, shrink
from synth.objectives import Objective, cropped, cross_entropy, jittered, logit, smoothed
from synth.parameters import Choice, Float, Int, Parameter, seed_parameter
from synth.pgd import cosine, iterate
from synth.photographs import Surroundings
from synth.randomness import Generators
from synth.tasks.base import Task


@dataclass(frozen=True)
class Problem:
    """Descend ``loss`` from ``start`` (N, 3, H, W) within ``constraint``, each picture down to ``until`` (N,).

    center: what the constraint is centred on, where that is not the start.
    next_stage: (pictures, factor) -> start and constraint at ``factor`` times the size, where that is not all enlarged.
    """

    loss: Objective
    start: Tensor
    constraint: Constraint
    until: Tensor | None = None
    center: Tensor | None = None
    next_stage: Callable[[Tensor, int], tuple[Tensor, Constraint]] | None = None


class Synthesis(Task):
    """Projected gradient descent on a ``problem``, which is all that most tasks declare."""

    @abstractmethod
    def problem(self, model: Classifier, p: SimpleNamespace, generators: Generators) -> Problem:
        """What to optimise, for checked parameters ``p`` and the frozen, folded ``model``."""

    def check(self, model, *, preset="tuned", **settings):
        values = super().check(model, preset=preset, **settings)
        if values.get("extent") == "whole" and values.get("mask", "") is None:
            raise ValueError("mask: expected one where the whole picture is worked on, got nothing")
        return values

    def run(self, model, p, generators, frame):
        if "mask" in self.parameters and p.extent == "whole":
            yield from self.run_in_place(model, p, generators, frame)
        else:
            yield from self.descend(self.problem(model, p, generators), p, generators, frame)

    def run_in_place(self, model, p, generators, frame):
        """The frames of a whole photograph, which change under its mask alone."""
        around = Surroundings.of(p.picture, p.mask, model.image_size)
        square = {"picture": around.picture(), "mask": around.hole(), "size": around.stages}
        p = SimpleNamespace(**vars(p) | square)
        problem = replace(self.problem(model, p, generators), next_stage=partial(around.next_stage, epsilon=p.epsilon))
        start = around.paste(problem.start)

        def shown(step, steps, x, loss, _):
            return frame(step, steps, around.paste(x), loss, start)

        yield from self.descend(problem, p, generators, shown)

    def descend(self, problem: Problem, p: SimpleNamespace, generators: Generators, frame, *, start=None, before=0):
        """The frames of ``problem``, after ``coarse_steps`` at half the size, where the task has them.

        Where ``size`` asks for more, half as many steps follow each doubling.

        Where the task has ``detail``, the frames show that part of the way from the start.

        start: what the pictures came from, the problem's start if None; before: steps that were shown already.
        """
        x, start = problem.start, problem.start if start is None else start
        detail = getattr(p, "detail", 1)
        counts, coarse = steps_at_each_size(p), getattr(p, "coarse_steps", 0)
        done, total = before, before + coarse + sum(counts.values())
        more = {"momentum": p.momentum, "noise": p.noise, "generator": generators}
        if not before:
            with torch.no_grad():
                loss = problem.loss(start)
            yield frame(0, total, start, loss, start)
        if coarse:
            small, half = shrink(x), at_half_size(problem.constraint, p.epsilon)
            for state in iterate(problem.loss, small, half, steps=coarse, step_size=p.step_size / 2, **more):
                x = problem.constraint.project(changed(problem.start, state.pictures - small), problem.start)
                yield frame(done + state.step, total, torch.lerp(start, x, detail), state.loss, start)
            done += coarse
            problem = replace(problem, start=x, center=problem.start)
        for factor, steps in counts.items():
            stage, step_size = problem, cosine(p.step_size) if p.schedule == "cosine" else p.step_size
            if factor > 1:
                stage, step_size = next_stage(problem, x, factor, p.epsilon), cosine(factor * p.step_size)
                start = enlarge(start, 2)
            run = iterate(
                stage.loss,
                stage.start,
                stage.constraint,
                steps=steps,
                step_size=step_size,
                center=stage.center,
                until=stage.until,
                **more,
            )
            for state in run:
                x = state.pictures
                yield frame(done + state.step, total, torch.lerp(start, x, detail), state.loss, start)
            done += steps


def steps_at_each_size(p: SimpleNamespace) -> dict[int, int]:
    """How many steps are taken at each multiple of the checkpoint's own size."""
    return {factor: p.steps if factor == 1 else -(-p.steps // 2) for factor in factors(getattr(p, "size", 1))}


def at_half_size(constraint: Constraint, epsilon: float) -> Constraint:
    """What holds at half the size where ``constraint`` of radius ``epsilon`` does at the whole."""
    return _where(constraint, L2(epsilon / 2), shrink)


def next_stage(native: Problem, x: Tensor, factor: int, epsilon: float) -> Problem:
    """The next stage of ``native``: from ``x`` enlarged, where each pixel may move REACH as far."""
    loss = at_both_sizes(native.loss, native.start.shape[-1])
    if native.next_stage is not None:
        return Problem(loss, *native.next_stage(x, factor))
    ball = L2(REACH * factor * epsilon)
    return Problem(loss, enlarge(x, 2), _where(native.constraint, ball, partial(enlarge, factor=factor)))


def _where(constraint: Constraint, ball: L2, resize: Callable[[Tensor], Tensor]) -> Constraint:
    """``ball``, and where ``constraint`` keeps to a mask, this mask resized."""
    return Inside(ball, resize(constraint.mask)) if isinstance(constraint, Inside) else ball


def optimisation(*, epsilon: float, steps: int, step_size: float, largest: float = 100) -> dict[str, Parameter]:
    """The parameters that every task shares, with a task's own defaults for 32-pixel pictures."""
    return {
        "epsilon": Float(
            default=epsilon,
            minimum=0.01,
            maximum=largest,
            step=0.1,
            unit="L2",
            help="How far the picture may move from its start.",
        ),
        "steps": Int(default=steps, minimum=1, maximum=1000, help="How many gradient steps to take."),
        "step_size": Float(
            default=step_size, minimum=0.001, maximum=10, step=0.01, unit="L2", help="Length of each step."
        ),
        "schedule": Choice(
            default="constant",
            options=("constant", "cosine"),
            more=True,
            help="Keep the step size, or let it fall to zero.",
        ),
        "momentum": Float(
            default=0,
            minimum=0,
            maximum=0.99,
            more=True,
            help="How much of the earlier direction each step keeps.",
        ),
        "noise": Float(
            default=0,
            minimum=0,
            maximum=0.2,
            step=0.001,
            more=True,
            help="Noise added at each step; a little loosens texture.",
        ),
        "jitter": Int(
            default=2,
            minimum=0,
            maximum=8,
            more=True,
            unit="pixels",
            help="Random shift of what the model sees at each step; smooths checkerboards.",
        ),
        "crop": Float(
            default=0,
            minimum=0,
            maximum=0.7,
            more=True,
            help="How much of the width the model's view leaves out at most, at random.",
        ),
        "smoothing": Float(
            default=0,
            minimum=0,
            maximum=1,
            more=True,
            help="Blur of what the model sees; keeps steps from drawing the finest checkerboards.",
        ),
        "seed": seed_parameter(),
    }


def detail_parameter(default: float = 1) -> Float:
    """How far the result goes from the start, which errs least, to what the steps reached, which looks sharpest.

    The straight line between the two is the best trade between error and realism (Freirich et al. 2021).
    """
    return Float(
        default=default,
        minimum=0,
        maximum=1,
        step=0.05,
        help="How much of the new detail to show: 0 errs least in each pixel, 1 looks sharpest.",
    )


def class_objective() -> dict[str, Parameter]:
    """The choice between the two losses of a class."""
    return {
        "objective": Choice(
            default="logit",
            options=("logit", "cross-entropy"),
            more=True,
            help="Raise the class's logit (more natural), or lower the cross-entropy (the paper's).",
        )
    }


def class_loss(model: Classifier, labels: Tensor, p: SimpleNamespace, generators: Generators) -> Objective:
    """The loss of ``labels`` (N,) by the chosen objective, on augmented views."""
    return augment_view(chosen_loss(p)(model, labels), p, generators)


def chosen_loss(p: SimpleNamespace) -> Callable[[Classifier, Tensor], Objective]:
    """The loss of a class that the objective names."""
    return logit if p.objective == "logit" else cross_entropy


def augment_view(loss: Objective, p: SimpleNamespace, generators: Generators) -> Objective:
    """``loss`` of the pictures smoothed, and shifted and enlarged at random at each step."""
    return cropped(jittered(smoothed(loss, p.smoothing), p.jitter, generators), p.crop, generators)


def class_or_predicted(model: Classifier, label: int | Tensor | None, x: Tensor) -> Tensor:
    """Labels (N,) of pictures ``x`` (N, 3, H, W): ``label``, one or one per picture, or the predictions if None."""
    if label is not None:
        return torch.as_tensor(label, device=x.device).expand(len(x))
    with torch.no_grad():
        return model(x).argmax(1)
