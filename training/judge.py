"""Pictures as a judge sees them: another classifier, its opinion of them, and its features to compare sets of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase

from synth import hub
from synth.classifier import Classifier
from training.data import Pictures
from training.intervals import proportion

JUDGE, INCEPTION = "synth-judge", "inception-v3-compat"
"""torch-fidelity's names of the two feature extractors."""
MINIMUM = 8
"""Precision, recall and KID need at least as many pictures."""


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
        if judge.image_size != model.image_size:
            raise ValueError(f"judge: expected pictures of {model.image_size} pixels, got {judge.image_size}")
    for pictures in data:
        if pictures.classes != model.classes:
            raise ValueError(f"data: expected the classes {model.classes}, got {pictures.classes}")
        if len(pictures) < minimum:
            raise ValueError(f"data: expected at least {minimum} pictures, got {len(pictures)}")
    if count < minimum:
        raise ValueError(f"count: expected at least {minimum}, got {count}")


@torch.no_grad()
def outputs(judge: Classifier, pictures: Tensor, batch: int = 200) -> tuple[Tensor, Tensor]:
    """Features (N, D) and logits (N, classes), on the judge's device, of uint8 pictures (N, 3, S, S)."""
    features = torch.cat([judge.representation(part.to(judge.device) / 255) for part in pictures.split(batch)])
    return features, judge.head(features)


def judge_accuracy(logits: Tensor, labels: Tensor) -> dict:
    """How often the largest of ``logits`` (N, classes) is that of ``labels`` (N,), with its interval."""
    return proportion(int((logits.argmax(1) == labels.to(logits.device)).sum()), len(labels))


def judge_group_accuracy(judge: Classifier, logits: Tensor, labels: Tensor) -> dict:
    """How often the largest of ``logits`` (N, classes) lies in the superclass of ``labels`` (N,)."""
    numbers = judge.group_numbers.to(logits.device)
    correct = numbers[logits.argmax(1)] == numbers[labels.to(logits.device)]
    return proportion(int(correct.sum()), len(labels))


class Reference:
    """Real uint8 pictures (M, 3, S, S) and their features by a ``judge``, to which samples are compared."""

    def __init__(self, judge: Classifier, pictures: Tensor):
        self.judge, self.pictures = judge, pictures
        features = outputs(judge, pictures)[0].double()
        self.mean, covariance = features.mean(0), features.T.cov()
        values, vectors = torch.linalg.eigh(covariance)
        self.trace, self.root = values.sum(), (vectors * values.clamp_min(0).sqrt()) @ vectors.T

    def frechet_distance(self, features: Tensor) -> Tensor:
        """The Fréchet distance of ``features`` (N, D) by the judge, a scalar.

        The trace of the square root of the two covariances' product is a sum of singular values, which is fast where N
        is below D and, unlike the eigenvalues of the product, exact for covariances that are not of full rank.
        """
        features = features.double()
        centred = (features - features.mean(0)) / (len(features) - 1) ** 0.5
        cross = torch.linalg.svdvals(centred @ self.root).sum()
        return (features.mean(0) - self.mean).square().sum() + centred.square().sum() + self.trace - 2 * cross


def judge_samples(pictures: Tensor, labels: Tensor, reference: Reference) -> dict:
    """How the judge sees uint8 ``pictures`` (N, 3, S, S) that were generated as ``labels`` (N,).

    {"judge_accuracy"} and, where the judge knows superclasses, "judge_group_accuracy"; in the judge's features "fid",
    the Fréchet distance, and the figures of ``fidelity``.
    """
    judge = reference.judge
    features, logits = outputs(judge, pictures)
    accuracy = {"judge_accuracy": judge_accuracy(logits, labels)}
    if judge.groups:
        accuracy["judge_group_accuracy"] = judge_group_accuracy(judge, logits, labels)
    distance = {"fid": rounded(reference.frechet_distance(features).item())}
    return accuracy | distance | fidelity(pictures, reference.pictures, judge=judge, device=judge.device)


def fidelity(
    pictures: Tensor, reference: Tensor, *, judge: Classifier | None = None, device: torch.device | str = "cpu"
) -> dict:
    """torch-fidelity's figures of uint8 pictures (N, 3, S, S) against a ``reference`` (M, 3, S, S), M and N >= 8.

    {"inception_score": {mean, std, splits}, "kid": {mean, std}, "precision", "recall"} in the features of the ``judge``
    if there is one, else in those of Inception v3, and there also "fid", as papers compare it. OSError if the weights
    of Inception v3 are neither here nor can be downloaded.
    """
    splits = max(1, min(10, len(pictures) // 100))
    metrics = calculate_metrics(
        input1=_Images(pictures),
        input2=_Images(reference),
        feature_extractor=INCEPTION if judge is None else JUDGE,
        judge=judge,
        isc=True,
        fid=judge is None,
        kid=True,
        prc=True,
        isc_splits=splits,
        kid_subset_size=min(1000, min(len(pictures), len(reference)) // 2),
        batch_size=200,
        cuda=torch.device(device).type == "cuda",
        save_cpu_ram=True,  # no worker processes
        cache=False,
        verbose=False,
    )

    def moments(name: str) -> dict:
        return {"mean": rounded(metrics[f"{name}_mean"]), "std": rounded(metrics[f"{name}_std"])}

    distance = {"fid": rounded(metrics["frechet_inception_distance"])} if judge is None else {}
    return {
        "inception_score": moments("inception_score") | {"splits": splits},
        **distance,
        "kid": moments("kernel_inception_distance"),
        "precision": rounded(metrics["precision"]),
        "recall": rounded(metrics["recall"]),
    }


def rounded(value: float) -> float:
    """Four significant digits, of at most six decimals."""
    return float(f"{round(value, 6) + 0:.4g}")


class _Images(Dataset):
    """uint8 pictures (N, 3, S, S) as torch-fidelity takes them."""

    def __init__(self, pictures: Tensor):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return self.pictures[index]


class _JudgeFeatures(FeatureExtractorBase):
    """The judge's features and logits of uint8 pictures."""

    def __init__(self, name: str, features_list: list[str], *, judge: Classifier, **_):
        super().__init__(name, features_list)
        self.judge = judge

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        results = dict(zip(("features", "logits"), outputs(self.judge, x), strict=True))
        return tuple(results[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"


register_feature_extractor(JUDGE, _JudgeFeatures)
