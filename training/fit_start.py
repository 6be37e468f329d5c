"""Fit where synthesis starts: ``python -m training.fit_start CHECKPOINT --data FOLDER`` writes start.safetensors.

The start depends on the data alone: ``--like OTHER`` takes that of another checkpoint of the same data.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from synth import hub
from synth.checkpoint import add, start_path
from synth.classifier import Classifier
from synth.parameters import flag
from synth.starts import STARTS
from synth.starts.base import Components
from training.data import Pictures, of


def fit(data: Pictures, *, components: int = 96, side: int = 32, seed: int = 0, **options: int) -> dict[str, Tensor]:
    """The tensors of every start, for the classes of ``data``.

    components: principal components kept per class; at most one fewer than its pictures.
    side: pixels that larger pictures are shrunk to (as the paper does, by pooling).
    options: those of the starts.
    """
    classes = []
    for label in range(len(data.classes)):
        pictures, _ = data[data.labels == label]
        if pictures.shape[-1] > side:
            pictures = F.interpolate(pictures, (side, side), mode="area")
        principal, tensors = Components(pictures, components), {}
        for start in STARTS.values():
            tensors |= start.fit(principal, torch.Generator().manual_seed(seed + label), start.options | options)
        classes.append(tensors)
    return {name: torch.stack([tensors[name] for tensors in classes]) for name in classes[0]}


def same(model: Classifier, other: Classifier) -> dict[str, Tensor]:
    """The starts of ``other``, which learned from the data of ``model``; ValueError if it did not, or has none."""
    facts = [(one.classes, one.info.get("data")) for one in (model, other)]
    if facts[0] != facts[1] or not other.start_tensors:
        raise ValueError(f"like: expected a checkpoint with starts and the data of {model.name}, got {other.name}")
    return other.start_tensors


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.fit_start", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--like", help="checkpoint of the same data, whose start is taken as it is")
    parser.add_argument("--components", type=int, default=96, help="principal components per class")
    parser.add_argument("--side", type=int, default=32, help="pixels that larger pictures are shrunk to")
    options = {name: default for start in STARTS.values() for name, default in start.options.items()}
    for name, default in options.items():
        parser.add_argument(flag(name), type=int, default=default, help=f"a start's option (default {default})")
    settings = vars(parser.parse_args(arguments))
    checkpoint, source, like = (settings.pop(name) for name in ("checkpoint", "data", "like"))
    try:
        model = hub.load(checkpoint)
        tensors = same(model, hub.load(like)) if like else fit(of(model, "train", source), **settings)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    add(model.folder, start_tensors=tensors)
    path = start_path(model.folder)
    kept = (tensors["deviation"].square().sum(1) / tensors["variance"]).mean()
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {kept:.1%} of the variance")


if __name__ == "__main__":
    main()
