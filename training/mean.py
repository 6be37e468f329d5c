"""The mean of two trainings: ``python -m training.mean FIRST SECOND --share 0.5 --output FOLDER``.

Where one began with the weights of the other, the networks between them are as good as both, and may be better than
either (Wortsman et al. 2022, arXiv 2203.05482). The starts and presets are those of SECOND; it gets no decoders, which
belong to the features of one network alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from synth import checkpoint, hub
from synth.classifier import Classifier


def mean(first: Classifier, second: Classifier, share: float) -> Classifier:
    """``second`` with weights that lie the part ``share`` (0 to 1) of the way from those of ``first`` to its own.

    ValueError for another part, or for two that are not the same network for the same classes.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected 0 to 1, got {share:g}")
    begin, end = (
        {name: value for name, value in one.state_dict().items() if name.startswith("backbone.")}
        for one in (first, second)
    )
    shapes = [{name: value.shape for name, value in one.items()} for one in (begin, end)]
    if first.classes != second.classes or shapes[0] != shapes[1]:
        raise ValueError(f"second: expected the network and classes of {first.name}, got {second.name}")
    between = {
        name: torch.lerp(begin[name], value, share) if value.is_floating_point() else value
        for name, value in end.items()
    }
    second.load_state_dict(between, strict=False)
    second.decoders = {}
    return second


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.mean", description=__doc__.splitlines()[0])
    parser.add_argument("first", help="bundled name, or folder")
    parser.add_argument("second", help="bundled name, or folder")
    parser.add_argument("--share", type=float, default=0.5, help="part of the way to the second (default 0.5)")
    parser.add_argument("--output", type=Path, required=True, help="folder of the new checkpoint")
    options = parser.parse_args(arguments)
    try:
        checkpoint.save(options.output, mean(hub.load(options.first), hub.load(options.second), options.share))
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
