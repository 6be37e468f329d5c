"""How an independent judge sees pictures, and how far they are from real ones, with intervals."""

from __future__ import annotations

import statistics

import torch
import torch.nn.functional as F
from torch import Tensor

from training.intervals import Z
from training.judge import Reference, judge_accuracy, outputs
from training.sampling import to_bytes

RESAMPLES = 20
"""Bootstrap resamples of the pictures behind the interval of a Fréchet distance."""


def judge_pictures(pictures: Tensor, labels: Tensor, reference: Reference) -> dict:
    """Figures of pictures (N, 3, S, S) in [0, 1] of the classes ``labels`` (N,), with counts and 95 % intervals.

    "seen": how often the judge predicts the label; "seen_coarse": likewise for pictures shrunk to half their size and
    enlarged again, which keeps shapes and removes the finest patterns, by which standard networks fool each other;
    "fid": Fréchet distance in the judge's features.
    """
    features, logits = outputs(reference.judge, to_bytes(pictures))
    coarse_logits = outputs(reference.judge, to_bytes(coarsen(pictures)))[1]
    return {
        "seen": judge_accuracy(logits, labels),
        "seen_coarse": judge_accuracy(coarse_logits, labels),
        "fid": frechet_distance(features, reference),
    }


def frechet_distance(features: Tensor, reference: Reference) -> dict:
    """Fréchet distance of features (N, D), its interval from the spread of bootstrap resamples."""
    random = torch.Generator().manual_seed(0)
    rows = torch.randint(0, len(features), (RESAMPLES, len(features)), generator=random)
    value = reference.frechet_distance(features)
    half = Z * statistics.stdev(reference.frechet_distance(features[row]) for row in rows)
    interval = [round(max(0, value - half), 3), round(value + half, 3)]
    return {"value": round(value, 3), "count": len(features), "interval": interval}


def coarsen(pictures: Tensor) -> Tensor:
    """The pictures at half their size, enlarged to it again."""
    return F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bicubic").clamp(0, 1)
