"""Quality of super-resolution and inpainting on real pictures, whose truth is known, beside plain baselines."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from synth import metrics
from synth.classifier import Classifier
from synth.parameters import Picture
from synth.tasks import TASKS, Task
from training.data import Pictures
from training.intervals import mean
from training.samples import balanced, check, judge_accuracy, outputs, spread, to_bytes


@dataclass(frozen=True)
class Restored:
    """Pictures (N, 3, S, S) by a task, its starts and its baseline, holes (N, 1, S, S) if any, seconds a picture.

    settings: of the task, apart from the pictures, classes and seeds.
    """

    ours: Tensor
    starts: Tensor
    baseline: Tensor
    holes: Tensor | None
    seconds: float
    settings: dict


def measure(
    model: Classifier,
    data: Pictures,
    *,
    judge: Classifier | None = None,
    count: int = 500,
    accelerator: Accelerator,
    batch: int = 20,
    lpips: bool = True,
) -> dict:
    """Figures of ``count`` class-balanced pictures of ``data``, shrunk or holed as the tasks do it, then restored.

    The tasks are told the true classes and use the checkpoint's tuned presets.

    judge: another classifier of the same classes, for how often the pictures are seen as their true class.
    lpips: whether to add LPIPS, of torchmetrics on AlexNet, if its weights are here or can be had.

    Returns plain values for JSON, the same on every process and, seconds aside, for any number of processes:
    {"count", "precision", "super_resolution": {factor: {"settings", "seconds_per_picture", "ours", "starts",
    "bicubic"}}, "inpainting": {"settings", "seconds_per_picture", "ours", "starts", "mean fill"}, "absent": {}}, with a
    judge also "judge" and "truth". Ours, starts (before the ascent), baselines and truth hold means with intervals as
    ``figures`` names them, and "judge_accuracy". "absent" says why there is no LPIPS.
    ValueError for a judge, data, count or batch that does not fit.
    """
    check(model, judge, data, count=count, fewest=1)
    if batch < 1:
        raise ValueError(f"batch: expected at least 1, got {batch}")
    data = balanced(data, count)
    data = data.subset(data.labels.argsort(stable=True))
    common = {"accelerator": accelerator, "batch": batch}
    factors = [f for f in TASKS["super_resolution"].parameters["factor"].options if model.image_size % int(f) == 0]
    enlargements = {factor: restore("super_resolution", model, data, factor=factor, **common) for factor in factors}
    fillings = restore("inpainting", model, data, **common)
    report = None
    if accelerator.is_main_process:
        truth, absent = data[:][0], _why_no_lpips() if lpips else {}
        seen = judge.inference_copy().to(accelerator.device) if judge is not None else None

        def accuracy(pictures: Tensor) -> dict:
            if seen is None:
                return {}
            return {"judge_accuracy": judge_accuracy(outputs(seen, to_bytes(pictures))[1], data.labels)}

        def compared(made: Restored, baseline: str) -> dict:
            rows = {"ours": made.ours, "starts": made.starts, baseline: made.baseline}
            return {"settings": made.settings, "seconds_per_picture": round(made.seconds, 4)} | {
                name: figures(pictures, truth, made.holes, lpips=lpips and not absent) | accuracy(pictures)
                for name, pictures in rows.items()
            }

        report = {
            "count": len(data),
            "precision": accelerator.mixed_precision,
            **({} if judge is None else {"judge": judge.name, "truth": accuracy(truth)}),
            "super_resolution": {factor: compared(made, "bicubic") for factor, made in enlargements.items()},
            "inpainting": compared(fillings, "mean fill"),
            "absent": absent,
        }
    return broadcast_object_list([report])[0]


def restore(
    name: str, model: Classifier, data: Pictures, *, accelerator: Accelerator, batch: int = 20, **settings
) -> Restored:
    """Task ``name``, "super_resolution" or "inpainting", and its baseline on ``data``, whose labels are sorted.

    A batch holds pictures of one class, and in inpainting they share a random square. Every process gets all results.
    """
    task, engine = several(TASKS[name]), model.inference_copy().to(accelerator.device)

    def given(begin: int, end: int) -> dict:
        return {"picture": data[begin:end][0], "class_name": int(data.labels[begin]), "seed": begin, **settings}

    def work(part: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        frame, values = task(engine, **given(*part)), task.check(engine, **given(*part))
        hole = task.hole(values) if "mask" in values else None
        return frame.pictures.cpu(), frame.start.cpu(), task.baseline(values), hole

    parts = _one_class_each(data.labels, batch)
    made, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, {name}")
    ours, starts, plain, holes = zip(*made, strict=True)
    values = task.check(engine, **given(0, 1))
    return Restored(
        torch.cat(ours),
        torch.cat(starts),
        torch.cat(plain),
        None if holes[0] is None else torch.cat(holes),
        seconds / len(data),
        {key: value for key, value in values.items() if key not in ("picture", "mask", "class_name", "seed")},
    )


def figures(pictures: Tensor, truth: Tensor, holes: Tensor | None = None, *, lpips: bool = False) -> dict:
    """Means with intervals of "psnr" in dB and of "ssim", by ``synth.metrics``, for pictures (N, 3, S, S) in [0, 1].

    With ``holes`` (N, 1, S, S), 1 inside, also "psnr_hole"; with ``lpips``, also "lpips".
    """
    found = metrics.reference_metrics(pictures, truth, holes)
    if lpips:
        found["lpips"] = _lpips(pictures, truth)
    return {name: mean(values.reshape(-1).tolist()) for name, values in found.items()}


def several(task: Task) -> Task:
    """The task for pictures (N, 3, H, W) of one class at once, each prepared as it would be alone."""
    twin = copy.copy(task)
    twin.parameters = task.parameters | {"picture": _Several(help=task.parameters["picture"].help)}
    return twin


class _Several(Picture):
    """Pictures that share all other settings."""

    def check(self, name: str, value: Tensor, model: Classifier, size: int | None = None) -> Tensor:
        return torch.cat([Picture.check(self, name, picture, model, size) for picture in value])


def _one_class_each(labels: Tensor, batch: int) -> list[tuple[int, int]]:
    """Ranges of at most ``batch`` equal neighbours of ``labels`` (N,)."""
    edges = [0, *labels.unique_consecutive(return_counts=True)[1].cumsum(0).tolist()]
    return [(begin, min(begin + batch, last)) for first, last in pairwise(edges) for begin in range(first, last, batch)]


def _lpips(pictures: Tensor, truth: Tensor) -> Tensor:
    return learned_perceptual_image_patch_similarity(pictures, truth, reduction="none", normalize=True)


def _why_no_lpips() -> dict:
    """Nothing, or {"lpips": reason} if AlexNet's weights are neither here nor can be had."""
    try:
        _lpips(*torch.zeros(2, 1, 3, 64, 64))
        return {}
    except OSError as error:  # the download's errors are OSErrors
        return {"lpips": f"AlexNet's weights are not here and cannot be had: {error}"}
