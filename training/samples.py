"""Quality of generated pictures: many samples, judged by another classifier, beside their starts and real pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, gather_object
from torch import Tensor
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from tqdm import tqdm

from synth.classifier import Classifier
from synth.tasks import TASKS
from training.data import Pictures
from training.intervals import proportion

GENERATION = TASKS["generation"]
JUDGE, INCEPTION = "synth-judge", "inception-v3-compat"
"""torch-fidelity's names of the two feature extractors."""
FEWEST = 8
"""Pictures that precision, recall and KID need at least."""


@dataclass(frozen=True)
class Samples:
    """Generated pictures and the starts they came from, uint8 (N, 3, S, S), for ``labels`` (N,).

    seconds: what making one picture took one process.
    """

    pictures: Tensor
    starts: Tensor
    labels: Tensor
    seconds: float


def measure(
    model: Classifier,
    judge: Classifier,
    train: Pictures,
    test: Pictures,
    *,
    count: int = 10_000,
    accelerator: Accelerator,
    batch: int = 50,
    inception: bool = True,
    **settings,
) -> dict:
    """Figures of ``count`` class-balanced samples of ``model``, of their starts and of as many real test pictures.

    The reference of FID, KID, precision and recall is ``count`` class-balanced random training pictures, or all if
    they are fewer. "nearest_train" is the median L2 distance to the nearest of all training pictures: were samples
    copies, theirs would lie below that of the test pictures.

    judge: another classifier of the same classes and picture size; its representation is the feature space.
    inception: whether to add the figures of torch-fidelity's Inception v3, if its weights are here or can be had;
    if not, "absent" says why.
    settings: of ``synth.generation``, its ``preset`` included, instead of the checkpoint's tuned preset.

    Returns plain values for JSON, the same on every process and, seconds aside, for any number of processes:
    {"count", "settings", "precision", "seconds_per_picture", "reference", "judge": {"extractor", "samples",
    "starts", "test pictures"}, "pixels": likewise, "inception": likewise, "absent": {}}.
    ValueError for a judge, data or count that do not fit.
    """
    check(model, judge, train, test, count=count)
    made = generate(model, count, accelerator=accelerator, batch=batch, **settings)
    report = None
    if accelerator.is_main_process:
        values = GENERATION.check(model, **settings)
        reference, real = balanced(train, count), balanced(test, count)
        sets = {
            "samples": (made.pictures, made.labels),
            "starts": (made.starts, made.labels),
            "test pictures": (real.pictures, real.labels),
        }
        judge = judge.inference_copy().to(accelerator.device)
        report = {
            "count": count,
            "settings": {name: values[name] for name in values if name not in ("class_name", "count", "seed")},
            "precision": accelerator.mixed_precision,
            "seconds_per_picture": _rounded(made.seconds),
            "reference": f"{len(reference)} class-balanced random training pictures of {len(train)}",
            "judge": {"extractor": f"judge {judge.name}", **_judge_figures(sets, reference, train, judge)},
            "pixels": {"extractor": "pixels in [0, 1]", **_pixel_figures(sets, train, accelerator.device)},
            "absent": {},
        }
        if inception:
            try:
                report["inception"] = {"extractor": "Inception v3 of torch-fidelity"} | {
                    name: fidelity(pictures, reference.pictures, device=accelerator.device)
                    for name, (pictures, _) in sets.items()
                }
            except OSError as error:  # the download's errors are OSErrors
                report["absent"]["inception"] = f"the Inception weights are not here and cannot be had: {error}"
    return broadcast_object_list([report])[0]


def check(model: Classifier, judge: Classifier | None, *data: Pictures, count: int, fewest: int = FEWEST) -> None:
    """ValueError unless the judge and the data fit the model and ``count`` is at least ``fewest``."""
    if judge is not None:
        if judge is model or _same_weights(judge, model):
            raise ValueError(f"judge: expected another classifier than the checkpoint, got {judge.name} itself")
        if judge.classes != model.classes:
            raise ValueError(f"judge: expected the classes {model.classes}, got {judge.classes}")
        if judge.image_size != model.image_size:
            raise ValueError(f"judge: expected pictures of {model.image_size} pixels, got {judge.image_size}")
    for pictures in data:
        if pictures.classes != model.classes:
            raise ValueError(f"data: expected the classes {model.classes}, got {pictures.classes}")
        if len(pictures) < fewest:
            raise ValueError(f"data: expected at least {fewest} pictures, got {len(pictures)}")
    if count < fewest:
        raise ValueError(f"count: expected at least {fewest}, got {count}")


def generate(model: Classifier, count: int, *, accelerator: Accelerator, batch: int = 50, **settings) -> Samples:
    """``count`` class-balanced samples, class by class; picture i of a class has seed i, whatever the ``batch``.

    settings: as for ``measure``. Every process gets all samples. ValueError for settings that do not fit.
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

    made, seconds = spread(work, parts, accelerator=accelerator, title=f"{model.name}, samples")
    pictures, starts = (torch.cat(several) for several in zip(*made, strict=True))
    labels = torch.cat([torch.full((size,), label) for label, _, size in parts])
    return Samples(pictures, starts, labels, seconds / count)


def spread(work: Callable, parts: list, *, accelerator: Accelerator, title: str) -> tuple[list, float]:
    """``work(part)`` of all ``parts``, which the processes share: the results in order, on every process.

    Also the seconds that all processes together worked. It runs in the accelerator's precision; results should hold
    tensors on the CPU, since they travel between processes.
    """
    began, results = time.monotonic(), []
    with accelerator.split_between_processes(parts) as mine, accelerator.autocast():
        for part in tqdm(mine, desc=title, mininterval=2, disable=not accelerator.is_local_main_process):
            results.append(work(part))
    seconds = sum(gather_object([time.monotonic() - began]))
    return gather_object(results), seconds


def balanced(data: Pictures, count: int, seed: int = 0) -> Pictures:
    """``count`` random pictures, as evenly from the classes as these allow; all of them if they are not more."""
    if count >= len(data):
        return data
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    labels = data.labels[order]
    rank = F.one_hot(labels).cumsum(0).gather(1, labels[:, None]).squeeze(1)  # how many of the class came so far
    return data.subset(order[rank.argsort(stable=True)[:count]])


def fidelity(
    pictures: Tensor, reference: Tensor, *, judge: Classifier | None = None, device: torch.device | str = "cpu"
) -> dict:
    """torch-fidelity's figures of uint8 pictures (N, 3, S, S) against a ``reference`` (M, 3, S, S), M and N >= 8.

    {"inception_score": {mean, std, splits}, "fid", "kid": {mean, std}, "precision", "recall"}, in the features of the
    ``judge`` if one is given, else of Inception v3: OSError if its weights are neither here nor can be had.
    """
    splits = max(1, min(10, len(pictures) // 100))
    found = calculate_metrics(
        input1=_Images(pictures),
        input2=_Images(reference),
        feature_extractor=INCEPTION if judge is None else JUDGE,
        judge=judge,
        isc=True,
        fid=True,
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
        return {"mean": _rounded(found[f"{name}_mean"]), "std": _rounded(found[f"{name}_std"])}

    return {
        "inception_score": moments("inception_score") | {"splits": splits},
        "fid": _rounded(found["frechet_inception_distance"]),
        "kid": moments("kernel_inception_distance"),
        "precision": _rounded(found["precision"]),
        "recall": _rounded(found["recall"]),
    }


def judged(pictures: Tensor, labels: Tensor, reference: Tensor, judge: Classifier) -> dict:
    """``fidelity`` in the judge's features, and "judge_accuracy": how often the judge sees ``labels`` (N,).

    Where the judge knows superclasses, also "judge_group_accuracy".
    """
    _, logits = outputs(judge, pictures)
    seen = {"judge_accuracy": judge_accuracy(logits, labels)}
    if judge.groups:
        seen["judge_group_accuracy"] = judge_group_accuracy(judge, logits, labels)
    return {**seen, **fidelity(pictures, reference, judge=judge, device=judge.device)}


def judge_accuracy(logits: Tensor, labels: Tensor) -> dict:
    """How often the largest of ``logits`` (N, classes) is that of ``labels`` (N,), with its interval."""
    return proportion(int((logits.argmax(1) == labels.to(logits.device)).sum()), len(labels))


def judge_group_accuracy(model: Classifier, logits: Tensor, labels: Tensor) -> dict:
    """How often the largest of ``logits`` (N, classes) lies in the superclass of ``labels`` (N,)."""
    numbers = model.group_numbers.to(logits.device)
    right = numbers[logits.argmax(1)] == numbers[labels.to(logits.device)]
    return proportion(int(right.sum()), len(labels))


@torch.no_grad()
def outputs(judge: Classifier, pictures: Tensor, batch: int = 200) -> tuple[Tensor, Tensor]:
    """Representation (N, units) and logits (N, classes), on the judge's device, of uint8 pictures (N, 3, S, S)."""
    features = torch.cat([judge.representation(part.to(judge.device) / 255) for part in pictures.split(batch)])
    return features, judge.head(features)


def nearest(x: Tensor, among: Tensor, chunk: int = 2048) -> Tensor:
    """L2 distance (N,) from each row of ``x`` (N, D) to the nearest row of ``among`` (M, D): 0 for a copy."""
    x = x.float()
    best = torch.full((len(x),), math.inf, device=x.device)
    index = torch.zeros_like(best, dtype=torch.long)
    for begin in range(0, len(among), chunk):
        distance, row = torch.cdist(x, among[begin : begin + chunk].to(x)).min(1)
        index = torch.where(distance < best, row + begin, index)
        best = torch.minimum(distance, best)
    return (x - among[index.to(among.device)].to(x)).norm(dim=1)  # again, since cdist rounds small distances


def to_bytes(x: Tensor) -> Tensor:
    """uint8 on the CPU, as a file would hold them, of pictures in [0, 1]."""
    return (x.detach().float() * 255).round().byte().cpu()


class _Images(Dataset):
    """uint8 pictures (N, 3, S, S) as torch-fidelity takes them."""

    def __init__(self, pictures: Tensor):
        self.pictures = pictures

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Tensor:
        return self.pictures[index]


class _JudgeFeatures(FeatureExtractorBase):
    """The judge's representation and logits of uint8 pictures."""

    def __init__(self, name: str, features_list: list[str], *, judge: Classifier, **_):
        super().__init__(name, features_list)
        self.judge = judge

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        found = dict(zip(("features", "logits"), outputs(self.judge, x), strict=True))
        return tuple(found[name] for name in self.features_list)

    @staticmethod
    def get_provided_features_list() -> tuple[str, ...]:
        return "features", "logits"

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "logits" if metric == "isc" else "features"


register_feature_extractor(JUDGE, _JudgeFeatures)


def _judge_figures(sets: dict, reference: Pictures, train: Pictures, judge: Classifier) -> dict:
    known, _ = outputs(judge, train.pictures)
    figures = {}
    for name, (pictures, labels) in sets.items():
        distance = nearest(outputs(judge, pictures)[0], known).median().item()
        figures[name] = judged(pictures, labels, reference.pictures, judge) | {"nearest_train": _rounded(distance)}
    return figures


def _pixel_figures(sets: dict, train: Pictures, device: torch.device) -> dict:
    known = train.pictures.flatten(1)
    return {
        name: {"nearest_train": _rounded(nearest(pictures.flatten(1).to(device), known).median().item() / 255)}
        for name, (pictures, _) in sets.items()
    }


def _same_weights(a: Classifier, b: Classifier) -> bool:
    first, second = a.head.weight.cpu(), b.head.weight.cpu()
    return first.shape == second.shape and torch.equal(first, second)


def _rounded(value: float) -> float:
    """Four significant digits, of at most six decimals."""
    return float(f"{round(value, 6) + 0:.4g}")
