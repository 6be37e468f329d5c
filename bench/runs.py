"""Runs for ``bench.evidence``: families of checkpoints, what tasks start from, pictures after so many gradients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

import synth
from bench.judging import Judge
from bench.tricks import TRICKS
from synth.classifier import Classifier
from synth.constraints import L2
from synth.pgd import cosine, iterate
from synth.randomness import Generators
from synth.tasks import TASKS
from synth.tasks.synthesis import class_loss
from training.data import Pictures, of
from training.loop import precision
from training.restoration import several
from training.samples import balanced

FAMILIES = ("cifar10", "tiny64")
PLAIN = {"jitter": 0, "smoothing": 0}
"""Settings of the published loop, without what presets add."""
REFERENCE = 5000
"""Real training pictures that the Frechet distance compares to."""
BATCH = 64
"""Pictures a batch, at most."""


@dataclass(frozen=True)
class Given:
    """What a task is asked: ``parts`` are the settings of one batch each; labels (N,), truth (N, 3, S, S) if known.

    A part's "labels" (n,) are the classes of its pictures, where they differ.
    """

    parts: list[dict]
    labels: Tensor
    truth: Tensor | None = None


class Family:
    """A robust checkpoint and its standard twin, which gets the same seeds, with their judge and data."""

    def __init__(self, name: str, data: str | None = None):
        self.name, self.data = name, data
        self.robust, standard = (synth.load(f"{name}-resnet18-slim-{kind}") for kind in ("l2", "standard"))
        standard.start = self.robust.start
        self.networks = {"robust": self.robust.inference_copy(), "standard": standard.inference_copy()}
        self._judges: dict[tuple, Judge] = {}

    @cached_property
    def judge(self) -> Classifier:
        return synth.load(f"{self.name}-judge").inference_copy()

    @cached_property
    def train(self) -> Pictures:
        return of(self.robust, "train", self.data)

    @cached_property
    def test(self) -> Pictures:
        return of(self.robust, "test", self.data)

    def tuned(self, task: str) -> dict:
        """The robust checkpoint's tuned settings of how to descend, for both networks; in small steps where it can."""
        small = self.robust.presets.get(task, {}).get("small steps", {})
        values, names = TASKS[task].defaults(self.robust) | small, list(TASKS[task].parameters)
        return {name: values[name] for name in names[names.index("epsilon") :] if name != "seed"}

    def judged(self, pictures: Tensor, labels: Tensor) -> dict:
        """The figures of ``Judge``, with real pictures of the same classes as the reference."""
        classes = tuple(labels.unique().tolist())
        if classes not in self._judges:
            real = self.train.subset(torch.isin(self.train.labels, torch.tensor(classes)))
            self._judges[classes] = Judge(self.judge, balanced(real, REFERENCE).pictures)
        return self._judges[classes](pictures, labels)

    def seeds(self, count: int, skip: int = 0) -> Given:
        """``count`` pictures to generate, every class in turn, from the seed ``skip`` on."""
        classes = len(self.robust.classes)
        size = max(1, BATCH // classes) * classes
        parts = [{"count": min(size, count - begin), "seed": skip + begin} for begin in range(0, count, size)]
        return Given(parts, torch.arange(count) % size % classes)

    def real(self, count: int, skip: int = 0, *, translated: bool = False, batch: int = BATCH) -> Given:
        """``count`` test pictures of the first ten classes that turn into others well, after the first ``skip``.

        Labels are their own classes, or, ``translated``, those that they are to become. In inpainting, each ``batch``
        shares a random square.
        """
        number, pairs = self.robust.classes.index, dict(list(self.robust.pairs.items())[:10])
        each, skip = -(-count // len(pairs)), -(-skip // len(pairs))
        of_class = [_shuffled(self.test.labels == number(source))[skip : skip + each] for source in pairs]
        pictures = self.test[torch.stack(of_class, 1).flatten()][0]  # every class in turn
        labels = torch.tensor([number(pairs[name] if translated else name) for name in pairs]).repeat(len(of_class[0]))
        parts = [
            {"picture": pictures[i : i + batch], "labels": labels[i : i + batch], "seed": skip + i}
            for i in range(0, len(labels), batch)
        ]
        return Given(parts, labels, None if translated else pictures)

    def shown(self, labels: Tensor) -> Tensor:
        """A test picture of each of ``labels`` (N,), in turn all of a class: (N, 3, S, S)."""
        rows = {label: _shuffled(self.test.labels == label).tolist() for label in labels.unique().tolist()}
        used = F.one_hot(labels).cumsum(0).gather(1, labels[:, None]).flatten() - 1
        pairs = zip(labels.tolist(), used.tolist(), strict=True)
        return self.test[torch.tensor([rows[label][i % len(rows[label])] for label, i in pairs])][0]

    def strangers(self, labels: Tensor) -> Tensor:
        """A test picture of another class for each of ``labels`` (N,), (N, 3, S, S)."""
        classes = len(self.robust.classes)
        rounds = torch.arange(len(labels)) // classes
        return self.shown((labels + 1 + rounds % (classes - 1)) % classes)


def descend(
    engine: Classifier, task: str, settings: dict, *, tricks=(), start: Tensor | None = None, coarse: int = 0
) -> Iterator[tuple[float, Tensor]]:
    """(gradient evaluations, pictures) of the start and of every step of a task's problem, changed by ``tricks``.

    settings: of the task; its "labels" (N,), if any, are the classes of pictures of several, in place of "class_name",
    for problems that have no other loss than the class's.
    start: pictures to start from instead of the task's own.
    coarse: steps before all others on pictures of half the size, each of which costs a quarter of an evaluation.
    """
    declared = several(TASKS[task]) if "picture" in TASKS[task].parameters else TASKS[task]
    labels = settings.get("labels")
    named = {} if labels is None else {"class_name": 0}
    settings = {name: value for name, value in settings.items() if name != "labels"} | named
    p = SimpleNamespace(**declared.check(engine, **settings))
    generators = Generators(p.seed)
    problem = declared.problem(engine, p, generators)
    problem = problem if labels is None else replace(problem, loss=class_loss(engine, labels, p, generators))
    problem = problem if start is None else replace(problem, start=start)
    for trick in tricks:
        problem = TRICKS[trick](problem, generators)
    x = problem.start
    yield 0, x
    if coarse:
        small = F.avg_pool2d(x, 2)
        run = iterate(problem.loss, small, L2(p.epsilon / 2), steps=coarse, step_size=p.step_size, generator=generators)
        for state in run:
            change = F.interpolate(state.pictures - small, scale_factor=2, mode="bilinear")
            x = problem.constraint.project(problem.start + change, problem.start)
            yield state.step / 4, x
    run = iterate(
        problem.loss,
        x,
        problem.constraint,
        center=problem.start if problem.center is None else problem.center,
        steps=p.steps,
        step_size=cosine(p.step_size) if p.schedule == "cosine" else p.step_size,
        momentum=p.momentum,
        noise=p.noise,
        generator=generators,
    )
    for state in run:
        yield coarse / 4 + state.step, state.pictures


def make(
    engine: Classifier, task: str, given: Given, settings: dict, at, *, starts: Tensor | None = None, **more
) -> dict[float, Tensor]:
    """{evaluations: pictures (N, 3, S, S)} for the evaluations ``at``.

    starts: (N, 3, S, S), pictures to start from; more: of ``descend``.
    """
    found, done = {one: [] for one in at}, 0
    low = torch.autocast(engine.device.type, torch.bfloat16, enabled=precision() == "bf16")
    for part in given.parts:
        size = len(part["picture"]) if "picture" in part else part["count"]
        start = None if starts is None else starts[done : done + size]
        done += size
        with low:
            for evaluations, pictures in descend(engine, task, settings | part, start=start, **more):
                if evaluations in found:
                    found[evaluations].append(pictures)
    return {one: torch.cat(pictures) for one, pictures in found.items()}


def _shuffled(which: Tensor) -> Tensor:
    """Indices of the set elements of ``which`` (N,), in an order that is always the same."""
    index = which.nonzero().flatten()
    return index[torch.randperm(len(index), generator=torch.Generator().manual_seed(0))]


def holes(engine: Classifier, given: Given) -> Tensor:
    """The squares that inpainting hides of what it is given, (N, 1, S, S)."""
    task = several(TASKS["inpainting"])
    known = [{name: part[name] for name in ("picture", "seed")} for part in given.parts]
    return torch.cat([task.hole(task.check(engine, **one)) for one in known])
