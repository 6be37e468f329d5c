"""The machinery that every training loop shares: batches, a time budget, saves to resume from, metrics, averaging."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from training import train_state
from training.data import Pictures
from training.machine import machine
from training.processes import share

SAVE_MINUTES = 10
"""The most work that a killed run loses."""
WORKERS = 2
"""Processes that decode pictures from disk, beside each process that trains."""


@dataclass(frozen=True)
class Batch:
    """One step of a training: ``indices`` (N,) of its pictures, and the ``seed`` of all its randomness.

    part: what this process takes of them; pictures, labels: that part, float in [0, 1] on the CPU.
    """

    step: int
    steps_per_epoch: int
    epochs: int
    indices: Tensor
    seed: int
    part: slice = field(default_factory=lambda: slice(None))
    pictures: Tensor = field(default_factory=Tensor)
    labels: Tensor = field(default_factory=Tensor)

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self.seed)

    @property
    def epoch(self) -> int:
        return self.step // self.steps_per_epoch

    @property
    def progress(self) -> float:
        """The fraction of the whole training that lies before this step."""
        return self.step / (self.epochs * self.steps_per_epoch)

    @property
    def epochs_done(self) -> float:
        """Epochs after this step; a whole number at the end of each."""
        return (self.step + 1) / self.steps_per_epoch

    @property
    def ends_epoch(self) -> bool:
        return (self.step + 1) % self.steps_per_epoch == 0


def batches(count: int, config, first: int = 0) -> Iterator[Batch]:
    """The batches of ``config.epochs`` shuffled epochs of ``count`` pictures, from the step ``first`` on.

    They depend on ``config.seed`` and the step alone, so that a resumed run draws what an uninterrupted one would have
    drawn. The last partial batch of an epoch is dropped.
    """
    size = min(config.batch_size, count)
    steps, order, shuffled = count // size, None, None
    for step in range(first, config.epochs * steps):
        epoch, place = divmod(step, steps)
        if epoch != shuffled:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(config.seed * 100_003 + epoch))
            shuffled = epoch
        indices = order[place * size : (place + 1) * size]
        yield Batch(step, steps, config.epochs, indices, config.seed * 1_000_003 + step)


def feed(data: Pictures, parts: list[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pictures, float in [0, 1], and labels of ``data`` for each of ``parts``, indices (N,), in that order.

    Worker processes decode ahead what lies on disk.
    """
    loader = DataLoader(
        data,
        batch_sampler=_Lists(parts),
        collate_fn=_as_it_is,
        num_workers=0 if data.in_memory else WORKERS,
        generator=torch.Generator(),
    )
    for pictures, labels in loader:
        yield pictures.float() / 255, labels


class _Lists:
    """What a DataLoader takes for ``parts``: lists of numbers, each made when its turn comes."""

    def __init__(self, parts: list[Tensor]):
        self.parts = parts

    def __len__(self) -> int:
        return len(self.parts)

    def __iter__(self) -> Iterator[list[int]]:
        return (part.tolist() for part in self.parts)


def _as_it_is(batch: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return batch


class Run:
    """A training in the folder ``output``: where it resumes, how long it may take, what it saves and reports.

    All processes of ``accelerator`` must call every method together, except ``save`` and ``summary``.

    recipe: what decides the outcome; a run continues one of the same recipe alone, unless ``change_recipe``.
    """

    def __init__(
        self,
        name: str,
        output: Path,
        accelerator: Accelerator,
        *,
        recipe: dict,
        change_recipe: bool = False,
        max_minutes: float = math.inf,
        quiet: bool = False,
    ):
        self.name, self.output, self.accelerator, self.max_minutes = name, output, accelerator, max_minutes
        self.recipe, self.change_recipe = recipe, change_recipe
        self.quiet = quiet or not accelerator.is_main_process
        self.began = self.saved = time.monotonic()
        self.over = False
        self.step, self.minutes_before, self.totals = 0, 0.0, {}

    @property
    def minutes(self) -> float:
        """Time spent so far, by the runs that this one continues too."""
        return self.minutes_before + (time.monotonic() - self.began) / 60

    def resume(self, parts: train_state.Parts) -> dict:
        """Take ``output``, and load its newest whole save into ``parts``; returns the save's facts, {} if none."""
        if self.accelerator.is_main_process:
            self._lock = train_state.lock(self.output)
        newest = train_state.latest(self.output)
        if newest is None:
            return {}
        tensors, facts = newest
        if not self.change_recipe:
            train_state.check_recipe(self.recipe, facts.get("recipe", {}), self.output)
        train_state.restore(parts, tensors)
        self.step, self.minutes_before, self.totals = facts["step"], facts["minutes"], facts["totals"]
        return facts

    def batches(self, data: Pictures, config, side: Callable[[int], int] | None = None) -> Iterator[Batch]:
        """The batches that are left, each with this process's part of its pictures; with a progress bar.

        side: of the pictures in an epoch, by default that of ``data``. The network's own randomness, such as dropout,
        follows from the step too.
        """
        total = config.epochs * (len(data) // min(config.batch_size, len(data)))
        with tqdm(total=total, initial=self.step, desc=self.name, disable=self.quiet, mininterval=2) as bar:
            for epoch, plan in groupby(batches(len(data), config, self.step), lambda batch: batch.epoch):
                steps = list(plan)
                part = share(len(steps[0]), self.accelerator.process_index, self.accelerator.num_processes)
                source = data.at(side(epoch)) if side else data
                for batch, (x, y) in zip(steps, feed(source, [one.indices[part] for one in steps]), strict=True):
                    torch.manual_seed(batch.seed)
                    yield replace(batch, part=part, pictures=x, labels=y)
                    bar.update()
                    if self.totals:
                        loss = self.totals["loss"] / self.totals["count"]
                        bar.set_postfix(epoch=math.ceil(batch.epochs_done), loss=f"{loss:.3f}", refresh=False)

    def add(self, **sums: float) -> None:
        """Add ``sums`` over this process's pictures, and their ``count``, to the epoch's; ValueError for a NaN."""
        for name, value in sums.items():
            if not math.isfinite(value):
                raise ValueError(f"{name}: expected a finite number, got {value}; the last save in {self.output} stays")
            self.totals[name] = self.totals.get(name, 0) + value

    def log(self, batch: Batch, validation: dict[str, float], learning_rate: float) -> None:
        """Append the epoch's means, over all processes, and the ``validation`` to ``output/metrics.jsonl``."""
        sums = torch.tensor(list(self.totals.values()), dtype=torch.float64)
        if self.accelerator.num_processes > 1:
            sums = self.accelerator.reduce(sums.float().to(self.accelerator.device)).cpu()
        means = dict(zip(self.totals, sums.tolist(), strict=True))
        count = means.pop("count")
        line = {"epoch": round(batch.epochs_done)} | {name: round(value / count, 4) for name, value in means.items()}
        line |= {**validation, "learning_rate": round(learning_rate, 5), "minutes": round(self.minutes, 2)}
        line["processes"] = self.accelerator.num_processes
        self.totals = {}
        if self.accelerator.is_main_process:
            self.output.mkdir(parents=True, exist_ok=True)
            with (self.output / "metrics.jsonl").open("a") as file:
                print(json.dumps(line), file=file)
            tqdm.write(json.dumps(line), file=sys.stderr)

    def save_due(self, batch: Batch) -> bool:
        """Whether to save now: an epoch or the time is over (then ``over`` is True), or SAVE_MINUTES have passed.

        All processes get the same answer, so that they leave the loop at the same step.
        """
        self.over = self._any((time.monotonic() - self.began) / 60 > self.max_minutes)
        due = self.over or batch.ends_epoch or self._any((time.monotonic() - self.saved) / 60 > SAVE_MINUTES)
        if due:
            self.saved = time.monotonic()
        return due

    def save(self, batch: Batch, parts: train_state.Parts, **more) -> None:
        """Write what ``resume`` reads: the tensors of ``parts``, and plain values."""
        facts = {"step": batch.step + 1, "minutes": self.minutes, "totals": self.totals, "name": self.name}
        train_state.save(self.output, facts["step"], train_state.tensors(parts), facts | more | {"recipe": self.recipe})

    def summary(self, batch: Batch) -> dict:
        """Epochs, minutes and machine so far, for the checkpoint's own description."""
        epochs, minutes = round(batch.epochs_done, 2), round(self.minutes, 1)
        return {"epochs": epochs, "minutes": minutes, "machine": machine(self.accelerator)}

    def _any(self, flag: bool) -> bool:
        if self.accelerator.num_processes == 1:
            return flag
        return bool(self.accelerator.gather(torch.tensor([float(flag)], device=self.accelerator.device)).any())


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``model``, its buffers included."""
    return AveragedModel(model, multi_avg_fn=partial(_average, decay), use_buffers=True)


@torch.no_grad()
def _average(decay: float, averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
    """In place, with a short memory at first so that short runs are not held back."""
    rate = 1 - min(decay, (1 + count.item()) / (10 + count.item()))
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, rate)
    else:
        torch._foreach_copy_(averaged, current)


def one_cycle(progress: float) -> float:
    """The learning rate after the fraction ``progress`` of the training, over its peak: a fifth up, then down."""
    return min(progress / 0.2, (1 - progress) / 0.8) if progress else 0.01


def learning_rate(config, progress: float) -> float:
    """The rate after the fraction ``progress`` of the training."""
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "steps":
        return config.learning_rate * 0.1 ** sum(progress >= milestone for milestone in config.milestones)
    return config.learning_rate * one_cycle(progress)


def set_learning_rate(optimizer: Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
