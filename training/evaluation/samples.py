"""Quality of generated pictures: many samples, seen by a judge, beside their starts and real pictures."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.classifier import Classifier
from training.data import Pictures
from training.evaluation.base import JUDGE, Measure, reason
from training.judge import Reference, check, judge_samples, outputs, rounded
from training.machine import arithmetic
from training.processes import once
from training.sampling import GENERATION, balanced, generate
from training.stored import Stored
from training.tables import table

_SIDE = 64
"""Pixels that larger pictures are shrunk to, where they are compared as such."""
_PIXELS = f"pixels in [0, 1], of larger pictures shrunk to {_SIDE} x {_SIDE}"
SETS = ("samples", "starts", "test pictures")


class SampleQuality(Measure):
    name = "samples"
    order = 3
    help = "quality of generated pictures"
    count = 10_000
    options = JUDGE | {"--also": {"nargs": "+", "default": (), "help": "further judges of the same samples"}}
    splits = ("train", "test")

    def measure(
        self, model, train, test, *, judge, also=(), count=10_000, accelerator, batch=50, inception=True, **settings
    ):
        """Figures of ``count`` class-balanced samples of ``model``, of their starts and of as many real test pictures.

        The reference of FID, KID, precision and recall is ``count`` class-balanced random training pictures, or all if
        they are fewer. "nearest_train" is the median L2 distance to the nearest of all training pictures: if samples
        were copies, theirs would lie below that of the test pictures.

        judge: another classifier of the same classes; its representation is the feature space. also: further ones,
        whose figures do without the distance to the nearest training picture.
        inception: whether to add the figures of torch-fidelity's Inception v3, if its weights are here or can be
        downloaded; if not, "absent" says why.
        settings: of ``synth.generation``, its ``preset`` included, instead of the checkpoint's tuned preset.

        {"count", "settings", "precision", "seconds_per_picture", "reference", "judge": {"extractor", "samples",
        "starts", "test pictures"}, "also": [likewise], "pixels": likewise, "inception": likewise, "absent": {}};
        seconds aside, the same for any number of processes. ValueError for a judge, data or count that do not fit.
        """
        if judge is None:
            raise ValueError("judge: expected the name of one, got none")
        for one in (judge, *also):
            check(model, one, train, test, count=count)
        samples = generate(model, count, accelerator=accelerator, batch=batch, **settings)

        def report() -> dict:
            values = GENERATION.check(model, **settings)
            real, references = balanced(test, count), balanced(train, count)
            sets = {
                "samples": (samples.pictures, samples.labels),
                "starts": (samples.starts, samples.labels),
                "test pictures": (real.pictures, real.labels),
            }

            def judged(judge: Classifier, train: Pictures | None = None) -> dict:
                reference = Reference(judge.inference_copy().to(accelerator.device), references.pictures)
                return {"extractor": f"judge {judge.name}", **_judge_figures(sets, reference, train)}

            result = {
                "count": count,
                "settings": {name: values[name] for name in values if name not in ("class_name", "count", "seed")},
                "precision": arithmetic(accelerator),
                "seconds_per_picture": rounded(samples.seconds),
                "reference": f"{len(references)} class-balanced random training pictures of {len(train)}",
                "judge": judged(judge, train),
                "also": [judged(one) for one in also],
                "pixels": {"extractor": _PIXELS, **_pixel_figures(sets, train, accelerator.device)},
                "absent": {},
            }
            if inception:
                try:
                    reference = Reference(None, references.pictures, accelerator.device)
                    result["inception"] = {"extractor": "Inception v3 of torch-fidelity"} | {
                        name: reference.compare(pictures) for name, (pictures, _) in sets.items()
                    }
                except OSError as error:  # the download's errors are OSErrors
                    cause = f"the Inception weights are not here and cannot be had: {error}"
                    result["absent"]["inception"] = cause
            return result

        return once(report, accelerator)

    def card_section(self, figures):
        head = ["", "judge accuracy", "score", "FID", "KID", "precision", "recall", "nearest training picture"]
        parts = [
            "### Samples",
            f"The checkpoint generated {figures['count']:,} class-balanced samples with its default preset, in "
            f"{figures['precision']} arithmetic and {figures['seconds_per_picture']:g} seconds per picture. They are "
            f"compared with {figures['reference']}. The features are named above each table, and figures in different "
            "features cannot be compared. KID, precision and recall are those of torch-fidelity. The score applies the "
            "formula of the Inception score to the classes of the named network. The judge accuracy says how often the "
            "judge predicts the class of a picture. The last column is the median L2 distance to the nearest training "
            "picture: if the samples were copies, it would be smaller than that of the test pictures.",
        ]
        spaces = [figures[name] for name in ("judge", "inception") if name in figures]
        for space in [*spaces[:1], *figures.get("also", []), *spaces[1:]]:
            rows = [_row(name, space[name], figures["pixels"][name]) for name in SETS]
            parts += [f"In the features of {space['extractor']}:", table(head, rows)]
        return parts + [reason(name.capitalize(), why) for name, why in figures["absent"].items()]


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


def _judge_figures(sets: dict, reference: Reference, train: Pictures | None) -> dict:
    """train: all training pictures, if the distance to the nearest of them is to be measured."""
    figures = {name: judge_samples(*labelled, reference) for name, labelled in sets.items()}
    if train is not None:
        features, _ = outputs(reference.judge, train.pictures)
        for name, (pictures, _) in sets.items():
            distance = nearest(outputs(reference.judge, pictures)[0], features).median().item()
            figures[name]["nearest_train"] = rounded(distance)
    return figures


def _pixel_figures(sets: dict, train: Pictures, device: torch.device) -> dict:
    train_pixels = _flat(train.pictures)
    return {
        name: {"nearest_train": rounded(nearest(_flat(pictures).to(device), train_pixels).median().item() / 255)}
        for name, (pictures, _) in sets.items()
    }


def _flat(pictures: Tensor | Stored) -> Tensor:
    """uint8 pictures (N, 3, S, S), of at most _SIDE pixels, as rows."""
    if pictures.shape[-1] > _SIDE:
        shrunk = (F.interpolate(part.float(), (_SIDE, _SIDE), mode="area") for part in pictures.split(500))
        return torch.cat([part.round().byte().flatten(1) for part in shrunk])
    return torch.cat([part.flatten(1) for part in pictures.split(500)])


def _row(name: str, figures: dict, pixels: dict) -> list[str]:
    """One set of pictures in the table of the card."""
    accuracy = f"{figures['judge_accuracy']['value']:.1%}" if "judge_accuracy" in figures else ""
    if "judge_group_accuracy" in figures:
        accuracy += f" (superclass {figures['judge_group_accuracy']['value']:.1%})"
    near = f"{figures['nearest_train']:.3g}" if "nearest_train" in figures else ""
    near += f" ({pixels['nearest_train']:.3g} in pixels)" if near else ""
    means = (figures["inception_score"]["mean"], figures["fid"], figures["kid"]["mean"])
    shown = [f"{value:.3g}" for value in (*means, figures["precision"], figures["recall"])]
    return [name, accuracy, *shown, near]
