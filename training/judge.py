"""Pictures as a judge sees them: another classifier, its opinion of them, and its features to compare sets of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torch_fidelity.utils import create_feature_extractor

from synth import hub
from synth.classifier import Classifier
from training.data import Pictures
from training.intervals import proportion
from training.stored import Stored

MINIMUM = 8
"""Precision, recall and KID need at least as many pictures."""
BATCH = 200


def load_judge(name: str | None, model: Classifier) -> Classifier:
    """The checkpoint called ``name``, or the bundled judge of the model's classes and size; ValueError for none."""
    if name is not None:
        return hub.load(name)
    for bundled in hub.bundled():
        if bundled.endswith("-judge"):
            judge = hub.load(bundled)
            if set(model.classes) <= set(judge.classes) and judge.image_size == model.image_size:
                return judge
    raise ValueError(f"judge: expected the name of one, since no bundled judge fits {model.name}, got none")


def check(model: Classifier, judge: Classifier | None, *data: Pictures, count: int, minimum: int = MINIMUM) -> None:
    """ValueError unless the judge and the data fit the model and ``count`` is at least ``minimum``."""
    if judge is not None:
        weights = (judge.head.weight.cpu(), model.head.weight.cpu())
        if judge is model or (weights[0].shape == weights[1].shape and torch.equal(*weights)):
            raise ValueError(f"judge: expected another classifier than the checkpoint, got {judge.name} itself")
        if judge.classes != model.classes:
            raise ValueError(f"judge: expected the classes {model.classes}, got {judge.classes}")
        if judge.image_size < model.image_size:
            raise ValueError(f"judge: expected one of at least {model.image_size} pixels, got {judge.image_size}")
    for pictures in data:
        if pictures.classes != model.classes:
            raise ValueError(f"data: expected the classes {model.classes}, got {pictures.classes}")
        if len(pictures) < minimum:
            raise ValueError(f"data: expected at least {minimum} pictures, got {len(pictures)}")
    if count < minimum:
        raise ValueError(f"count: expected at least {minimum}, got {count}")


@torch.no_grad()
def outputs(judge: Classifier, pictures: Tensor | Stored) -> tuple[Tensor, Tensor]:
    """Features (N, D) and logits (N, classes), on the judge's device, of uint8 pictures (N, 3, S, S).

    Pictures of another size than the judge's are resized.
    """
    parts = (part.to(judge.device) / 255 for part in pictures.split(BATCH))
    features = torch.cat([judge.representation(fitted(part, judge.image_size)) for part in parts])
    return features, judge.head(features)


def fitted(x: Tensor, side: int) -> Tensor:
    """Pictures (N, 3, S, S) in [0, 1] with S = ``side``, by bicubic interpolation."""
    if x.shape[-1] == side:
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True).clamp(0, 1)


def judge_accuracy(logits: Tensor, labels: Tensor) -> dict:
    """How often the largest of ``logits`` (N, classes) is that of ``labels`` (N,), with its interval."""
    return proportion(int((logits.argmax(1) == labels.to(logits.device)).sum()), len(labels))


class Reference:
    """Real uint8 pictures (M, 3, S, S) in the features of a judge, or of Inception v3, to compare samples with.

    OSError for Inception v3 if its weights are neither here nor can be downloaded.
    """

    def __init__(self, judge: Classifier | None, pictures: Tensor, device: torch.device | str = "cpu"):
        self.judge = judge
        self.extract = partial(outputs, judge) if judge is not None else inception(torch.device(device))
        self.features = self.extract(pictures)[0].cpu()
        features = self.features.double()
        self.mean, covariance = features.mean(0), features.T.cov()
        values, vectors = torch.linalg.eigh(covariance)
        self.trace, self.root = values.sum(), (vectors * values.clamp_min(0).sqrt()) @ vectors.T

    def frechet_distance(self, features: Tensor) -> float:
        """The Fréchet distance of ``features`` (N, D).

        The trace of the square root of the two covariances' product is a sum of singular values, which is fast where N
        is below D and, unlike the eigenvalues of the product, exact for covariances that are not of full rank.
        """
        features = features.cpu().double()
        centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
        cross = torch.linalg.svdvals(centred @ self.root).sum()
        mean = (features.mean(0) - self.mean).square().sum()
        return (mean + centred.square().sum() + self.trace - 2 * cross).item()

    def compare(self, pictures: Tensor) -> dict:
        """Figures of uint8 pictures (N, 3, S, S), N and M at least 8, all but the first by torch-fidelity.

        {"fid", "inception_score": {mean, std, splits}, "kid": {mean, std}, "precision", "recall"}.
        """
        return self.compare_outputs(*self.extract(pictures))

    def compare_outputs(self, features: Tensor, logits: Tensor) -> dict:
        """The same of what the judge says of the pictures: features (N, D) and logits (N, classes)."""
        features, logits = features.cpu(), logits.cpu()
        splits = max(1, min(10, len(features) // 100))
        score = isc_features_to_metric(logits, splits)
        size = min(1000, min(len(features), len(self.features)) // 2)
        kid = kid_features_to_metric(features, self.features, kid_subset_size=size, verbose=False)
        coverage = prc_features_to_metric(features, self.features, verbose=False)
        return {
            "fid": rounded(self.frechet_distance(features)),
            "inception_score": _moments(score, "inception_score") | {"splits": splits},
            "kid": _moments(kid, "kernel_inception_distance"),
            "precision": rounded(coverage["precision"]),
            "recall": rounded(coverage["recall"]),
        }


def judge_samples(pictures: Tensor, labels: Tensor, reference: Reference) -> dict:
    """How the reference's judge sees uint8 ``pictures`` (N, 3, S, S) that were generated as ``labels`` (N,).

    {"judge_accuracy"}, where the judge knows superclasses "judge_group_accuracy", and the figures of ``compare``.
    """
    judge, (features, logits) = reference.judge, reference.extract(pictures)
    accuracy = {"judge_accuracy": judge_accuracy(logits, labels)}
    if judge.groups:
        correct = judge.group_numbers[logits.argmax(1)] == judge.group_numbers[labels.to(logits.device)]
        accuracy["judge_group_accuracy"] = proportion(int(correct.sum()), len(labels))
    return accuracy | reference.compare_outputs(features, logits)


def inception(device: torch.device) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """torch-fidelity's Inception v3: uint8 pictures to features (N, 2048) and logits (N, 1008)."""
    names = ["2048", "logits_unbiased"]
    network = create_feature_extractor("inception-v3-compat", names, cuda=device.type == "cuda", verbose=False)

    @torch.no_grad()
    def extract(pictures: Tensor) -> tuple[Tensor, Tensor]:
        parts = [network(part.to(device)) for part in pictures.split(BATCH)]
        return tuple(torch.cat(part) for part in zip(*parts, strict=True))

    return extract


def rounded(value: float) -> float:
    """Four significant digits, of at most six decimals."""
    return float(f"{round(value, 6) + 0:.4g}")


def _moments(metrics: dict, name: str) -> dict:
    return {"mean": rounded(metrics[f"{name}_mean"]), "std": rounded(metrics[f"{name}_std"])}
