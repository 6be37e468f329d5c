"""Runs for ``bench.evidence``: families of checkpoints, inputs of tasks, pictures after a number of gradients."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor

import synth
from bench.judging import judge_pictures
from bench.tricks import TRICKS
from synth.classifier import Classifier
from synth.constraints import L2
from synth.pgd import cosine, iterate
from synth.randomness import Generators
from synth.tasks import TASKS
from training.data import Pictures, of
from training.judge import Reference
from training.machine import precision
from training.sampling import balanced

FAMILIES = ("cifar10", "tiny64")
PLAIN = {"jitter": 0, "smoothing": 0}
"""Settings of the published loop, without what presets add."""
REFERENCE = 5000
"""The number of real training pictures behind a Fréchet distance."""
BATCH = 64
"""The largest number of pictures per batch."""
SQUARE = 10
"""The number of pictures that share a random square in inpainting."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a task: ``parts`` are the settings of one batch each; labels (N,), truth (N, 3, S, S) if known."""

    parts: list[dict]
    labels: Tensor
    truth: Tensor | None = None

    @property
    def holes(self) -> Tensor | None:
        """The masks (N, 1, S, S) of inpainting."""
        if "mask" not in self.parts[0]:
            return None
        return torch.cat([part["mask"].expand(len(part["picture"]), -1, -1, -1) for part in self.parts])


class Family:
    """A robust checkpoint and its standard twin, which uses the same seeds, with their judge, or another, and data."""

    def __init__(self, name: str, data: str | None = None, judge: str | None = None):
        self.name, self.data, self._judge = name, data, judge or f"{name}-judge"
        self.robust, standard = (synth.load(f"{name}-resnet18-slim-{kind}") for kind in ("l2", "standard"))
        standard.start_tensors = self.robust.start_tensors
        self.networks = {"robust": self.robust.inference_copy(), "standard": standard.inference_copy()}
        self._references: dict[tuple, Reference] = {}

    @cached_property
    def judge(self) -> Classifier:
        return synth.load(self._judge).inference_copy()

    @cached_property
    def train(self) -> Pictures:
        return of(self.robust, "train", self.data)

    @cached_property
    def test(self) -> Pictures:
        return of(self.robust, "test", self.data)

    def tuned(self, task: str) -> dict:
        """The robust checkpoint's tuned settings of the descent, for both networks, in small steps if it has such."""
        small = self.robust.presets.get(task, {}).get("small steps", {})
        values, names = TASKS[task].defaults(self.robust) | small, list(TASKS[task].parameters)
        return {name: values[name] for name in names[names.index(TASKS[task].first_setting) :] if name != "seed"}

    def figures(self, pictures: Tensor, labels: Tensor) -> dict:
        """The figures of ``bench.judging``, with real pictures of the same classes as the reference."""
        classes = tuple(labels.unique().tolist())
        if classes not in self._references:
            real = self.train.subset(torch.isin(self.train.labels, torch.tensor(classes)))
            self._references[classes] = Reference(self.judge, balanced(real, REFERENCE).pictures)
        return judge_pictures(pictures, labels, self._references[classes])

    def seeds(self, count: int, skip: int = 0) -> Inputs:
        """Inputs to generate ``count`` pictures, every class in turn, from the seed ``skip`` on."""
        classes = len(self.robust.classes)
        size = max(1, BATCH // classes) * classes
        parts = [{"count": min(size, count - begin), "seed": skip + begin} for begin in range(0, count, size)]
        return Inputs(parts, torch.arange(count) % size % classes)

    def real(self, task: str, count: int, skip: int = 0) -> Inputs:
        """``count`` test pictures of the first ten classes that have a pair, after the first ``skip``.

        The labels are their own classes, in translation those of their pairs. In inpainting, a batch shares a random
        square.
        """
        number, pairs = self.robust.classes.index, dict(list(self.robust.pairs.items())[:10])
        each, skip = -(-count // len(pairs)), -(-skip // len(pairs))
        of_class = [_random_order(self.test.labels == number(source))[skip : skip + each] for source in pairs]
        pictures = self.test[torch.stack(of_class, 1).flatten()][0]  # every class in turn
        targets = pairs.values() if task == "translation" else pairs
        labels = torch.tensor([number(name) for name in targets]).repeat(len(of_class[0]))
        batch = SQUARE if task == "inpainting" else BATCH
        parts = []
        for i in range(0, len(labels), batch):
            part = {"picture": pictures[i : i + batch], "class_name": labels[i : i + batch], "seed": skip + i}
            mask = TASKS[task].default_mask(part["picture"][:1], Generators(part["seed"]))
            parts.append(part if mask is None else part | {"mask": mask})
        return Inputs(parts, labels, None if task == "translation" else pictures)

    def test_pictures(self, labels: Tensor) -> Tensor:
        """A test picture of each of ``labels`` (N,), in turn all of a class: (N, 3, S, S)."""
        rows = {label: _random_order(self.test.labels == label).tolist() for label in labels.unique().tolist()}
        used = F.one_hot(labels).cumsum(0).gather(1, labels[:, None]).flatten() - 1
        pairs = zip(labels.tolist(), used.tolist(), strict=True)
        return self.test[torch.tensor([rows[label][i % len(rows[label])] for label, i in pairs])][0]

    def other_classes(self, labels: Tensor) -> Tensor:
        """A test picture of another class for each of ``labels`` (N,), (N, 3, S, S)."""
        classes = len(self.robust.classes)
        rounds = torch.arange(len(labels)) // classes
        return self.test_pictures((labels + 1 + rounds % (classes - 1)) % classes)


def descend(
    engine: Classifier, task: str, settings: dict, *, tricks=(), start: Tensor | None = None, coarse: int = 0
) -> Iterator[tuple[float, Tensor]]:
    """(gradient evaluations, pictures) of the start and of every step of a task's problem, changed by ``tricks``.

    settings: of the task. start: pictures to start from instead of the task's own.
    coarse: steps before all others on pictures of half the size, each of which costs a quarter of an evaluation.
    """
    p = SimpleNamespace(**TASKS[task].check(engine, **settings))
    generators = Generators(p.seed)
    problem = TASKS[task].problem(engine, p, generators)
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
        center=problem.start,
        steps=p.steps,
        step_size=cosine(p.step_size) if p.schedule == "cosine" else p.step_size,
        momentum=p.momentum,
        noise=p.noise,
        generator=generators,
    )
    for state in run:
        yield coarse / 4 + state.step, torch.lerp(problem.start, state.pictures, getattr(p, "detail", 1))


def make(
    engine: Classifier, task: str, inputs: Inputs, settings: dict, at, *, starts: Tensor | None = None, **more
) -> dict[float, Tensor]:
    """{evaluations: pictures (N, 3, S, S)} for the evaluations ``at``.

    starts: (N, 3, S, S), pictures to start from; more: of ``descend``.
    """
    results, done = {one: [] for one in at}, 0
    low = torch.autocast(engine.device.type, torch.bfloat16, enabled=precision() == "bf16")
    for part in inputs.parts:
        size = len(part["picture"]) if "picture" in part else part["count"]
        start = None if starts is None else starts[done : done + size]
        done += size
        with low:
            for evaluations, pictures in descend(engine, task, settings | part, start=start, **more):
                if evaluations in results:
                    results[evaluations].append(pictures)
    return {one: torch.cat(pictures) for one, pictures in results.items()}


def command_line(module: str, arguments: list[str] | None) -> str:
    """The command of this process, with FOLDER in place of the paths of data, to be stored beside its figures."""
    words = arguments or sys.argv[1:]
    words = ["FOLDER" if before in ("--data", "--larger") else word for before, word in pairwise(["", *words])]
    return shlex.join(["python", "-m", module, *words])


def _random_order(which: Tensor) -> Tensor:
    """Indices of the set elements of ``which`` (N,), in an order that is always the same."""
    index = which.nonzero().flatten()
    return index[torch.randperm(len(index), generator=torch.Generator().manual_seed(0))]
