"""Quality of translation on real pictures: does another classifier see the target, and what changed besides."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor

from synth import metrics
from synth.classifier import Classifier
from synth.tasks import TASKS
from training.data import Pictures
from training.intervals import mean, proportion
from training.restoration import several
from training.samples import balanced, outputs, spread, to_bytes

LAYOUT = 8
"""Pictures are compared at this many pixels a side for what no translation need change: the layout of colours."""
BORDER = 1 / 8
"""Width of the border, as a fraction of the side, where the object seldom is."""


def measure(
    model: Classifier,
    data: Pictures,
    *,
    judge: Classifier,
    pairs: list[tuple[str, str]] | None = None,
    count: int = 50,
    accelerator: Accelerator,
    batch: int = 50,
) -> dict:
    """Figures of ``count`` pictures of ``data`` for each of ``pairs`` (source class, target class), tuned preset.

    pairs: those of the checkpoint unless told. judge: another classifier that knows their classes.

    Returns {"count", "judge", "settings", "seconds_per_picture", "pairs": {"A to B": figures}, "all": figures}, figures
    being "source_before" and "target_after", how often the judge sees these in the pictures before and after,
    "distance" in L2, "layout" and "border", mean absolute changes of pictures shrunk to 8x8 and of their outermost
    eighth, "centre", the change elsewhere, and "ssim". Plain values, the same on every process.
    ValueError for a judge, data or pairs that do not fit.
    """
    pairs = list(pairs or model.pairs.items())
    _check(model, judge, data, pairs, count)
    task, engine = several(TASKS["translation"]), model.inference_copy().to(accelerator.device)
    sources = {name: _of(data, name, count) for name, _ in pairs}
    parts = [(pair, begin) for pair in pairs for begin in range(0, len(sources[pair[0]]), batch)]

    def work(part: tuple[tuple[str, str], int]) -> Tensor:
        (source, target), begin = part
        chosen = sources[source][begin : begin + batch][0]
        return task(engine, picture=chosen, class_name=target, seed=begin).pictures.cpu()

    made, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, translations")
    report = None
    if accelerator.is_main_process:
        seen = judge.inference_copy().to(accelerator.device)
        found = {}
        for source, target in pairs:
            after = torch.cat([one for (pair, _), one in zip(parts, made, strict=True) if pair == (source, target)])
            found[source, target] = _compared(sources[source][:][0], after, source, target, seen)
        values = task.check(engine, picture=next(iter(sources.values()))[:1][0], class_name=pairs[0][1])
        together = {name: torch.cat([one[name] for one in found.values()]) for name in next(iter(found.values()))}
        report = {
            "count": sum(len(one["distance"]) for one in found.values()),
            "judge": judge.name,
            "precision": accelerator.mixed_precision,
            "settings": {k: v for k, v in values.items() if k not in ("picture", "class_name", "seed")},
            "seconds_per_picture": round(seconds / len(together["distance"]), 4),
            "pairs": {f"{source} to {target}": _figures(one) for (source, target), one in found.items()},
            "all": _figures(together),
        }
    return broadcast_object_list([report])[0]


def _check(model, judge, data: Pictures, pairs: list[tuple[str, str]], count: int) -> None:
    if not pairs:
        raise ValueError(f"pairs: expected source:target, since {model.name} names none, got nothing")
    if count < 1:
        raise ValueError(f"count: expected at least 1, got {count}")
    if judge.image_size != model.image_size:
        raise ValueError(f"judge: expected pictures of {model.image_size} pixels, got {judge.image_size}")
    for source, target in pairs:
        for name, known, owner in (
            (source, data.classes, "the data"),
            (target, model.classes, model.name),
            (source, judge.classes, judge.name),
            (target, judge.classes, judge.name),
        ):
            if name not in known:
                raise ValueError(f"pairs: expected classes of {owner}, got {name!r}")


def _of(data: Pictures, name: str, count: int) -> Pictures:
    """``count`` random pictures of the class ``name``, or all."""
    return balanced(data.subset((data.labels == data.classes.index(name)).nonzero().squeeze(1)), count)


def _compared(before: Tensor, after: Tensor, source: str, target: str, judge: Classifier) -> dict[str, Tensor]:
    """Every figure, a value a picture, for pictures (N, 3, S, S) in [0, 1]."""
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
