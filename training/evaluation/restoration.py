"""Quality of super-resolution and inpainting on real pictures, whose truth is known, beside plain baselines."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
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
from training.machine import arithmetic
from training.processes import once, spread
from training.sampling import balanced, to_bytes
from training.tables import interval_cell, table

FIGURES = {
    "psnr": "PSNR, dB",
    "psnr_hole": "PSNR in the hole, dB",
    "ssim": "SSIM",
    "lpips": "LPIPS",
    "apart": "judge's distance",
}
DETAILS = (0, 0.25, 0.5, 0.75, 1)
"""Positions of the parameter detail, of which "curve" holds figures."""


@dataclass(frozen=True)
class Restored:
    """Pictures (N, 3, S, S) by a task, its starts and its baseline, holes (N, 1, S, S) if any, seconds per picture.

    full: with all the detail that the steps added. settings: of the task, apart from the pictures, classes and seeds.
    """

    full: Tensor
    starts: Tensor
    baseline: Tensor
    holes: Tensor | None
    seconds: float
    settings: dict

    def at(self, detail: float) -> Tensor:
        """With this part of the detail."""
        return torch.lerp(self.starts, self.full, detail)

    @property
    def ours(self) -> Tensor:
        """With as much of the detail as the settings show."""
        return self.at(self.settings["detail"])


class Restoration(Measure):
    name = "restoration"
    order = 4
    help = "super-resolution and inpainting of test pictures"
    count = 500
    options = JUDGE

    def measure(self, model, data, *, judge=None, count=500, accelerator, batch=20, lpips=True):
        """Figures of ``count`` class-balanced pictures of ``data``, which the tasks shrink or mask and then restore.

        The tasks use the checkpoint's tuned presets, once blind to the class and once told it.

        judge: another classifier of the same classes, for how often it predicts the true class.
        lpips: whether to add LPIPS, of torchmetrics on AlexNet, if its weights are here or can be downloaded.

        {"count", "precision", "super_resolution": {factor: {"settings", "seconds_per_picture", "ours", "ours, told",
        "all detail", "all detail, told", "starts", "bicubic", "curve"}}, "inpainting": the same with "smooth fill",
        "absent": {}}, with a judge also "judge" and "truth"; seconds aside, the same for any number of processes. Ours,
        starts (before the ascent), baselines, truth and each "detail" of the curve, blind to the class, hold means with
        intervals as ``reference_figures`` names them, and
        "judge_accuracy" and "apart", 1 minus the cosine between the judge's features and those of the truth. "absent"
        says why there is no LPIPS.
        ValueError for a judge, data, count or batch that does not fit.
        """
        check(model, judge, data, count=count, minimum=1)
        if batch < 1:
            raise ValueError(f"batch: expected at least 1, got {batch}")
        data = balanced(data, count)
        data = data.subset(data.labels.argsort(stable=True))
        common = {"accelerator": accelerator, "batch": batch}
        factors = [f for f in TASKS["super_resolution"].parameters["factor"].options if model.image_size % f == 0]

        def both(name: str, **settings) -> list[Restored]:
            return [restore(name, model, data, told=told, **settings, **common) for told in (False, True)]

        enlarged = {str(factor): both("super_resolution", factor=factor) for factor in factors}
        inpainted = both("inpainting")

        def report() -> dict:
            truth, absent = data[:][0], _why_no_lpips() if lpips else {}
            engine = judge.inference_copy().to(accelerator.device) if judge is not None else None

            true = None if engine is None else outputs(engine, to_bytes(truth))[0]

            def judged(pictures: Tensor) -> dict:
                if engine is None:
                    return {}
                features, logits = outputs(engine, to_bytes(pictures))
                apart = 1 - F.cosine_similarity(features, true)
                return {"judge_accuracy": judge_accuracy(logits, data.labels), "apart": mean(apart.tolist())}

            def compare(results: list[Restored], baseline: str) -> dict:
                blind, told = results
                rows = {
                    "ours": blind.ours,
                    "ours, told": told.ours,
                    "all detail": blind.full,
                    "all detail, told": told.full,
                    "starts": blind.starts,
                    baseline: blind.baseline,
                }
                curve = [
                    {"detail": detail, **reference_figures(shown, truth, blind.holes), **judged(shown)}
                    for detail, shown in ((detail, blind.at(detail)) for detail in DETAILS)
                ]
                return {"settings": blind.settings, "seconds_per_picture": round(blind.seconds, 4), "curve": curve} | {
                    name: reference_figures(pictures, truth, blind.holes, lpips=lpips and not absent) | judged(pictures)
                    for name, pictures in rows.items()
                }

            return {
                "count": len(data),
                "precision": arithmetic(accelerator),
                **({} if judge is None else {"judge": judge.name, "truth": judged(truth)}),
                "super_resolution": {factor: compare(results, "bicubic") for factor, results in enlarged.items()},
                "inpainting": compare(inpainted, "smooth fill"),
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
            f"{figures['precision']} arithmetic. They used the class that the checkpoint saw in the damaged picture. "
            "Where the table says so, they were told the true one; the judge can then recognise the restored pictures "
            'more often than the true ones. "All detail" shows the whole of what the steps added, "ours" the part '
            'that the preset shows, and "starts" none. The table shows means with 95 % intervals.',
        ]
        if "truth" in figures:
            parts[-1] += (
                f" The judge {figures['judge']} predicts the true class for {_percentage(figures['truth'])} of the "
                "true pictures."
            )
        parts.append(table(["task", "picture", *FIGURES.values(), "judge accuracy"], rows))
        return parts + [reason(name.upper(), why) for name, why in figures["absent"].items()]


def restore(
    name: str,
    model: Classifier,
    data: Pictures,
    *,
    accelerator: Accelerator,
    batch: int = 20,
    told: bool = False,
    **settings,
) -> Restored:
    """The task ``name``, "super_resolution" or "inpainting", and its baseline on ``data``, whose labels are sorted.

    A batch holds pictures of one class, and in inpainting they share a random square. Every process gets all results.

    told: whether the task is told the classes.
    """
    task, engine = TASKS[name], model.inference_copy().to(accelerator.device)

    def arguments(begin: int, end: int) -> dict:
        picture = data[begin:end][0]
        label = int(data.labels[begin]) if told else None
        values = {"picture": picture, "class_name": label, "seed": begin, **settings}
        mask = task.default_mask(picture[:1], Generators(begin))
        return values if mask is None else values | {"mask": mask}

    def work(part: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        frame, values = task(engine, **arguments(*part) | {"detail": 1}), task.check(engine, **arguments(*part))
        hole = task.hole(values) if "mask" in values else None
        return frame.pictures.cpu(), frame.start.cpu(), task.baseline(values), hole

    parts = _one_class_each(data.labels, batch)
    results, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, {name}")
    full, starts, plain, holes = zip(*results, strict=True)
    values = task.check(engine, **arguments(0, 1))
    return Restored(
        torch.cat(full),
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
