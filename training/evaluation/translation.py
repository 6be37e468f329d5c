"""Quality of translation on real pictures: does a judge see the target, and what changed besides."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synth import metrics
from synth.classifier import Classifier
from synth.tasks import TASKS
from training.data import Pictures
from training.evaluation.base import JUDGE, Measure
from training.intervals import mean, proportion
from training.judge import outputs
from training.machine import arithmetic
from training.processes import once, spread
from training.sampling import balanced, to_bytes
from training.tables import table

LAYOUT = 8
"""Pictures are compared at this many pixels a side for what no translation need change: the layout of colours."""
BORDER = 1 / 8
"""Width of the border, as a fraction of the side, where the object seldom is."""


class TranslationQuality(Measure):
    name = "translation"
    order = 5
    help = "translation of test pictures, --count of each pair"
    count = 50
    options = JUDGE | {
        "--pairs": {
            "nargs": "+",
            "metavar": "A:B",
            "help": "translation from class A to class B (default: the checkpoint's pairs)",
        },
        "--preset": {"default": "tuned", "help": "of the task's presets (default: tuned)"},
    }

    def measure(self, model, data, *, judge, pairs=None, preset="tuned", count=50, accelerator, batch=50):
        """Figures of ``count`` pictures of ``data`` for each pair of classes, with a preset of the task.

        judge: another classifier that knows the classes.
        pairs: "source:target" or (source, target), by default those of the checkpoint.

        {"count", "judge", "precision", "settings", "seconds_per_picture", "pairs": {"A to B": figures}, "all":
        figures}. The figures are "source_before" and "target_after", how often the judge predicts these classes before
        and after, "distance" in L2, "layout" and "border", mean absolute changes of the pictures shrunk to 8x8 and of
        their outermost eighth, "centre", the change elsewhere, and "ssim".
        ValueError for a judge, data or pairs that do not fit.
        """
        pairs = _pairs(model, pairs)
        _check(model, judge, data, pairs, count)
        task, engine = TASKS["translation"], model.inference_copy().to(accelerator.device)
        sources = {}
        for name, _ in pairs:
            sources[name] = balanced(data.subset(data.labels == data.classes.index(name)), count)
        parts = [(pair, begin) for pair in pairs for begin in range(0, len(sources[pair[0]]), batch)]

        def work(part: tuple[tuple[str, str], int]) -> Tensor:
            (source, target), begin = part
            picture = sources[source][begin : begin + batch][0]
            return task(engine, picture=picture, class_name=target, seed=begin, preset=preset).pictures.cpu()

        results, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, translations")

        def report() -> dict:
            eye, values = judge.inference_copy().to(accelerator.device), {}
            for pair in pairs:
                after = torch.cat([one for (other, _), one in zip(parts, results, strict=True) if other == pair])
                values[pair] = _compare(sources[pair[0]][:][0], after, *pair, eye)
            together = {name: torch.cat([one[name] for one in values.values()]) for name in next(iter(values.values()))}
            example = next(iter(sources.values()))[:1][0]
            settings = task.check(engine, picture=example, class_name=pairs[0][1], preset=preset)
            return {
                "count": len(together["distance"]),
                "judge": judge.name,
                "precision": arithmetic(accelerator),
                "settings": {k: v for k, v in settings.items() if k not in ("picture", "class_name", "seed")},
                "seconds_per_picture": round(seconds / len(together["distance"]), 4),
                "pairs": {f"{source} to {target}": _figures(one) for (source, target), one in values.items()},
                "all": _figures(together),
            }

        return once(report, accelerator)

    def card_section(self, figures):
        rows = []
        for name, row in {**figures["pairs"], "**all**": figures["all"]}.items():
            shares = [f"{row[key]['value']:.0%}" for key in ("source_before", "target_after")]
            changes = [f"{row[key]['value']:.3g}" for key in ("distance", "layout", "border", "centre", "ssim")]
            rows.append([name, *shares, *changes, f"{row['distance']['count']:,}"])
        head = ["from, to", "judged as source before", "judged as target after", "L2 distance", "layout", "border"]
        return [
            "### Translation",
            f"The checkpoint translated test pictures with the settings in evaluation.json; {figures['judge']} judged "
            "them. Layout, border and centre are the mean absolute changes of the pixels in [0, 1]: of the picture "
            "shrunk to 8x8, of its outermost eighth, and of the rest.",
            table([*head, "centre", "SSIM", "pictures"], rows),
        ]


def _pairs(model: Classifier, pairs: list | None) -> list[tuple[str, str]]:
    """The pairs (source, target); ValueError for "source:target" that is written otherwise."""
    if any(isinstance(pair, str) and pair.count(":") != 1 for pair in pairs or []):
        raise ValueError(f"pairs: expected source:target, got {', '.join(pairs)}")
    pairs = [tuple(pair.split(":")) if isinstance(pair, str) else pair for pair in pairs or []]
    return pairs or list(model.pairs.items())


def _check(model, judge, data: Pictures, pairs: list[tuple[str, str]], count: int) -> None:
    if not pairs:
        raise ValueError(f"pairs: expected source:target, since {model.name} names none, got nothing")
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    if judge.image_size < model.image_size:
        raise ValueError(f"judge: expected one of at least {model.image_size} pixels, got {judge.image_size}")
    for source, target in pairs:
        for name, classes, owner in (
            (source, data.classes, "the data"),
            (target, model.classes, model.name),
            (source, judge.classes, judge.name),
            (target, judge.classes, judge.name),
        ):
            if name not in classes:
                raise ValueError(f"pairs: expected classes of {owner}, got {name!r}")


def _compare(before: Tensor, after: Tensor, source: str, target: str, judge: Classifier) -> dict[str, Tensor]:
    """Every figure, one value per picture, for pictures (N, 3, S, S) in [0, 1]."""
    change, side = (after - before).abs(), before.shape[-1]
    rim = torch.ones(side, side)
    width = max(1, round(side * BORDER))
    rim[width:-width, width:-width] = 0
    return {
        "source_before": (outputs(judge, to_bytes(before))[1].argmax(1) == judge.classes.index(source)).cpu(),
        "target_after": (outputs(judge, to_bytes(after))[1].argmax(1) == judge.classes.index(target)).cpu(),
        "distance": (after - before).flatten(1).norm(dim=1),
        "layout": F.adaptive_avg_pool2d(after - before, LAYOUT).abs().mean((1, 2, 3)),
        "border": (change.mean(1) * rim).sum((1, 2)) / rim.sum(),
        "centre": (change.mean(1) * (1 - rim)).sum((1, 2)) / (1 - rim).sum(),
        "ssim": metrics.reference_metrics(after, before)["ssim"].reshape(-1),
    }


def _figures(values: dict[str, Tensor]) -> dict:
    return {
        name: proportion(int(one.sum()), len(one)) if one.dtype == torch.bool else mean(one.tolist())
        for name, one in values.items()
    }
