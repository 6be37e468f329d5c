"""What the tasks share that decode a classifier's features (Rojas-Gomez et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from synth.classifier import Classifier
from synth.multiscale import size_parameter
from synth.objectives import feature_distance
from synth.parameters import Depth, Parameter, Picture
from synth.tasks.base import Task

MULTIPLE = 32
"""Of the sides of a whole photograph; what is over at the right and below is cut off, since every stage halves."""


class Inversion(Task):
    """A task for checkpoints with a decoder."""

    first_setting = "depth"

    def supports(self, model: Classifier) -> bool:
        return model.decoder is not None

    def check(self, model: Classifier, *, preset: str = "tuned", **settings) -> dict:
        values = super().check(model, preset=preset, **settings)
        if not self.supports(model):
            raise ValueError(f"checkpoint: expected one that python -m training.train_decoder ran on, got {model.name}")
        if values.get("extent") == "whole":
            for name, parameter in self.parameters.items():
                if isinstance(parameter, Picture):
                    height, width = (side - side % MULTIPLE for side in values[name].shape[2:])
                    if not height or not width:
                        raise ValueError(f"{name}: expected at least {MULTIPLE} pixels a side, got fewer")
                    values[name] = values[name][..., :height, :width]
        return values

    def picture_size(self, model: Classifier, values: dict) -> int:
        """The checkpoint's own size, or as many times larger as asked for: encoder and decoder take any."""
        return super().picture_size(model, values) * values.get("size", 1)


def depth_parameter(default: int = 3, more: bool = False) -> Depth:
    """From which of the encoder's stages to decode."""
    return Depth(
        default=default,
        more=more,
        help="Stages of the classifier to go through and back; more keep less of the picture.",
    )


def inversion_size(default: int = 1) -> Parameter:
    """The size at which encoder and decoder work."""
    words = "How many times larger than the training pictures to work; encoder and decoder take any size."
    return size_parameter(default, words)


def feature_error(model: Classifier, x: Tensor, sought: Tensor, depth: int) -> Tensor:
    """How far the features of ``x`` (N, 3, H, W) are from the map ``sought`` that they were decoded from, (N,)."""
    with torch.no_grad():
        return feature_distance(model, sought, depth)(x)
