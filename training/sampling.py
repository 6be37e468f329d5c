"""Samples of a classifier and of its data, as evenly from the classes as possible."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor

from synth.classifier import Classifier
from synth.tasks import TASKS
from training.data import Pictures
from training.processes import spread

GENERATION = TASKS["generation"]


@dataclass(frozen=True)
class Samples:
    """Generated pictures and the starts they came from, uint8 (N, 3, S, S), for ``labels`` (N,).

    seconds: the time per picture of one process.
    """

    pictures: Tensor
    starts: Tensor
    labels: Tensor
    seconds: float


def generate(model: Classifier, count: int, *, accelerator: Accelerator, batch: int = 50, **settings) -> Samples:
    """``count`` class-balanced samples, class by class; picture i of a class has seed i, whatever the ``batch``.

    settings: of ``synth.generation``, its ``preset`` included, instead of the checkpoint's tuned preset. Every process
    gets all samples. ValueError for settings that do not fit.
    """
    most = GENERATION.parameters["count"].maximum
    if not 1 <= batch <= most:
        raise ValueError(f"batch: expected 1 to {most}, got {batch}")
    GENERATION.check(model, **settings)
    engine = model.inference_copy().to(accelerator.device)
    parts = []
    for label in range(len(model.classes)):
        size = len(range(label, count, len(model.classes)))
        parts += [(label, seed, min(batch, size - seed)) for seed in range(0, size, batch)]

    def work(part: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        label, seed, size = part
        frame = GENERATION(engine, class_name=label, count=size, seed=seed, **settings)
        return to_bytes(frame.pictures), to_bytes(frame.start)

    results, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, samples")
    pictures, starts = (torch.cat(batches) for batches in zip(*results, strict=True))
    labels = torch.cat([torch.full((size,), label) for label, _, size in parts])
    return Samples(pictures, starts, labels, seconds / count)


def balanced(data: Pictures, count: int) -> Pictures:
    """``count`` random pictures, as evenly from the classes as these allow; all of them if they are not more."""
    if count >= len(data):
        return data
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    labels = data.labels[order]
    rank = F.one_hot(labels).cumsum(0).gather(1, labels[:, None]).squeeze(1)  # the number of its class so far
    return data.subset(order[rank.argsort(stable=True)[:count]])


def to_bytes(x: Tensor) -> Tensor:
    """uint8 on the CPU, as a file would hold them, of pictures in [0, 1]."""
    return (x.detach().float() * 255).round().byte().cpu()
