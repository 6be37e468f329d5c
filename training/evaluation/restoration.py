"""Quality of super-resolution and inpainting on real pictures, whose truth is known, beside plain baselines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from accelerate import Accelerator
from torch import Tensor
from torchmetrics.functional.image import learned_perceptual_image_patch_similarity

from synth import metrics
from synth.classifier import Classifier
from synth.randomness import Generators
from synth.tasks import TASKS
from training.data import Pictures
from training.evaluation.base import JUDGE, Measure, reason
from training.intervals import mean
from training.judge import check, judge_accuracy, outputs
from training.processes import once, spread
from training.sampling import balanced, to_bytes
from training.tables import interval_cell, table

FIGURES = {"psnr": "PSNR, dB", "psnr_hole": "PSNR in the hole, dB", "ssim": "SSIM", "lpips": "LPIPS"}


@dataclass(frozen=True)
class Restored:
    """Pictures (N, 3, S, S) by a task, its starts and its baseline, holes (N, 1, S, S) if any, seconds per picture.

    settings: of the task, apart from the pictures, classes and seeds.
    """

    ours: Tensor
    starts: Tensor
    baseline: Tensor
    holes: Tensor | None
    seconds: float
    settings: dict


class Restoration(Measure):
    name = "restoration"
    order = 4
    help = "super-resolution and inpainting of test pictures"
    count = 500
    options = JUDGE

    def measure(self, model, data, *, judge=None, count=500, accelerator, batch=20, lpips=True):
        """Figures of ``count`` class-balanced pictures of ``data``, which the tasks shrink or mask and then restore.

        The tasks get the true classes and use the checkpoint's tuned presets.

        judge: another classifier of the same classes, for how often it predicts the true class.
        lpips: whether to add LPIPS, of torchmetrics on AlexNet, if its weights are here or can be downloaded.

        {"count", "precision", "super_resolution": {factor: {"settings", "seconds_per_picture", "ours", "starts",
        "bicubic"}}, "inpainting": {"settings", "seconds_per_picture", "ours", "starts", "mean fill"}, "absent": {}},
        with a judge also "judge" and "truth"; seconds aside, the same for any number of processes. Ours, starts (before
        the ascent), baselines and truth hold means with intervals as ``reference_figures`` names them, and
        "judge_accuracy". "absent" says why there is no LPIPS.
        ValueError for a judge, data, count or batch that does not fit.
        """
        check(model, judge, data, count=count, minimum=1)
        if batch < 1:
            raise ValueError(f"batch: expected at least 1, got {batch}")
        data = balanced(data, count)
        data = data.subset(data.labels.argsort(stable=True))
        common = {"accelerator": accelerator, "batch": batch}
        factors = [f for f in TASKS["super_resolution"].parameters["factor"].options if model.image_size % f == 0]
        enlarged = {str(f): restore("super_resolution", model, data, factor=f, **common) for f in factors}
        inpainted = restore("inpainting", model, data, **common)

        def report() -> dict:
            truth, absent = data[:][0], _why_no_lpips() if lpips else {}
            engine = judge.inference_copy().to(accelerator.device) if judge is not None else None

            def accuracy(pictures: Tensor) -> dict:
                if engine is None:
                    return {}
                return {"judge_accuracy": judge_accuracy(outputs(engine, to_bytes(pictures))[1], data.labels)}

            def compare(result: Restored, baseline: str) -> dict:
                rows = {"ours": result.ours, "starts": result.starts, baseline: result.baseline}
                return {"settings": result.settings, "seconds_per_picture": round(result.seconds, 4)} | {
                    name: reference_figures(pictures, truth, result.holes, lpips=lpips and not absent)
                    | accuracy(pictures)
                    for name, pictures in rows.items()
                }

            return {
                "count": len(data),
                "precision": accelerator.mixed_precision,
                **({} if judge is None else {"judge": judge.name, "truth": accuracy(truth)}),
                "super_resolution": {factor: compare(result, "bicubic") for factor, result in enlarged.items()},
                "inpainting": compare(inpainted, "mean fill"),
                "absent": absent,
            }

        return once(report, accelerator)

    def card_section(self, figures):
        tasks = {f"super-resolution {factor}x": rows for factor, rows in figures["super_resolution"].items()}
        tasks["inpainting"] = figures["inpainting"]
        rows = []
        for task, results in tasks.items():
            for name, row in results.items():
                if isinstance(row, dict) and "psnr" in row:
                    cells = [interval_cell(row[key]) if key in row else "" for key in FIGURES]
                    rows.append([task, name, *cells, _percentage(row)])
        parts = [
            "### Restoration",
            f"The tasks restored {figures['count']:,} class-balanced test pictures with their default presets, in "
            f"{figures['precision']} arithmetic. They got the true class of each picture, so that the judge can "
            "recognise the restored pictures more often than the true ones. The table shows means with 95 % intervals; "
            "the starts are the pictures before the ascent.",
        ]
        if "truth" in figures:
            parts[-1] += (
                f" The judge {figures['judge']} predicts the true class for {_percentage(figures['truth'])} of the "
                "true pictures."
            )
        parts.append(table(["task", "picture", *FIGURES.values(), "judge accuracy"], rows))
        return parts + [reason(name.upper(), why) for name, why in figures["absent"].items()]


def restore(
    name: str, model: Classifier, data: Pictures, *, accelerator: Accelerator, batch: int = 20, **settings
) -> Restored:
    """The task ``name``, "super_resolution" or "inpainting", and its baseline on ``data``, whose labels are sorted.

    A batch holds pictures of one class, and in inpainting they share a random square. Every process gets all results.
    """
    task, engine = TASKS[name], model.inference_copy().to(accelerator.device)

    def arguments(begin: int, end: int) -> dict:
        picture = data[begin:end][0]
        values = {"picture": picture, "class_name": int(data.labels[begin]), "seed": begin, **settings}
        mask = task.default_mask(picture[:1], Generators(begin))
        return values if mask is None else values | {"mask": mask}

    def work(part: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        frame, values = task(engine, **arguments(*part)), task.check(engine, **arguments(*part))
        hole = task.hole(values) if "mask" in values else None
        return frame.pictures.cpu(), frame.start.cpu(), task.baseline(values), hole

    parts = _one_class_each(data.labels, batch)
    results, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, {name}")
    ours, starts, plain, holes = zip(*results, strict=True)
    values = task.check(engine, **arguments(0, 1))
    return Restored(
        torch.cat(ours),
        torch.cat(starts),
        torch.cat(plain),
        None if holes[0] is None else torch.cat(holes),
        seconds / len(data),
        {key: value for key, value in values.items() if key not in ("picture", "mask", "class_name", "seed")},
    )


def reference_figures(pictures: Tensor, truth: Tensor, holes: Tensor | None = None, *, lpips: bool = False) -> dict:
    """Means with intervals of "psnr" in dB and of "ssim", by ``synth.metrics``, for pictures (N, 3, S, S) in [0, 1].

    With ``holes`` (N, 1, S, S), 1 inside, also "psnr_hole"; with ``lpips``, also "lpips".
    """
    figures = metrics.reference_metrics(pictures, truth, holes)
    if lpips:
        figures["lpips"] = _lpips(pictures, truth)
    return {name: mean(values.reshape(-1).tolist()) for name, values in figures.items()}


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


def _percentage(figures: dict) -> str:
    return f"{figures['judge_accuracy']['value']:.1%}" if "judge_accuracy" in figures else ""
