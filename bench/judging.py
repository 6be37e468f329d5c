"""Pictures before an independent classifier: what it sees in them, and how far they are from real ones."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.classifier import Classifier
from training.intervals import Z
from training.samples import judge_accuracy, outputs, to_bytes

RESAMPLES = 20
"""Bootstrap resamples of the pictures behind the interval of a Frechet distance."""


class Judge:
    """A classifier for synthesis and the real pictures, uint8 (M, 3, S, S), whose features others are compared to."""

    def __init__(self, model: Classifier, reference: Tensor):
        self.model = model
        features = outputs(self.model, reference)[0].double()
        self.mean, covariance = features.mean(0), features.T.cov()
        values, vectors = torch.linalg.eigh(covariance)
        self.trace, self.root = values.sum(), (vectors * values.clamp_min(0).sqrt()) @ vectors.T

    def __call__(self, pictures: Tensor, labels: Tensor) -> dict:
        """Figures of (N, 3, S, S) in [0, 1] made as ``labels`` (N,), with counts and 95 % intervals.

        "seen": how often the judge sees the label; "seen_coarse": likewise in pictures shrunk to half their size and
        enlarged again, which leaves shapes and takes the finest patterns, by which standard networks fool each other;
        "fid": Frechet distance in the judge's features.
        """
        features, logits = outputs(self.model, to_bytes(pictures))
        coarse = outputs(self.model, to_bytes(coarsened(pictures)))[1]
        return {
            "seen": judge_accuracy(logits, labels),
            "seen_coarse": judge_accuracy(coarse, labels),
            "fid": self.fid(features.double()),
        }

    def fid(self, features: Tensor) -> dict:
        """Frechet distance of features (N, units), its interval from the spread of bootstrap resamples."""
        random = torch.Generator().manual_seed(0)
        rows = torch.randint(0, len(features), (RESAMPLES, len(features)), generator=random)
        value = self.distance(features)
        half = Z * torch.stack([self.distance(features[row]) for row in rows]).std().item()
        interval = [round(max(0, value.item() - half), 3), round(value.item() + half, 3)]
        return {"value": round(value.item(), 3), "count": len(features), "interval": interval}

    def distance(self, features: Tensor) -> Tensor:
        """Frechet distance; the trace of the covariances' root is a sum of singular values."""
        centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
        cross = torch.linalg.svdvals(centred @ self.root).sum()
        return (features.mean(0) - self.mean).square().sum() + centred.square().sum() + self.trace - 2 * cross


def coarsened(pictures: Tensor) -> Tensor:
    """The pictures at half their size, enlarged to it again."""
    return F.interpolate(F.avg_pool2d(pictures, 2), scale_factor=2, mode="bicubic").clamp(0, 1)
