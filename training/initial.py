"""The network that a training begins with: random weights, or what fits of a checkpoint's."""

from __future__ import annotations

import torch

from synth import hub
from synth.classifier import Classifier
from training.config import TrainConfig
from training.data import Pictures
from training.narrow import narrow
from training.recipes import command
from training.widen import widen


def build(config: TrainConfig, data: Pictures) -> Classifier:
    """The network that training begins with: random weights, or those of ``config.initial`` that fit."""
    pairs = config.pairs if len(data.classes) > 2 else dict([data.classes, data.classes[::-1]])
    model = Classifier(
        architecture=config.architecture,
        classes=data.classes,
        image_size=config.image_size,
        width=config.width,
        mean=list(config.mean),
        std=list(config.std),
        presets=config.presets,
        groups=data.groups,
        pairs=[pair for pair in pairs.items() if set(pair) <= set(data.classes)],
        info={"name": config.name, "data": config.data, "recipe": config.facts, "command": command(config)},
    )
    if config.initial:
        _load_initial(model, config)
    return model


def _load_initial(model: Classifier, config: TrainConfig) -> None:
    """Weights (and starts) of the checkpoint that a run begins with; ValueError if it does not fit.

    A second stage continues with the same network. Any other run takes the tensors whose name and shape fit its own, so
    that a checkpoint of other classes or of another size lends its features; a narrower network of the same classes is
    widened, and keeps its function; of a wider one the strongest channels stay.
    """
    initial = hub.load(config.initial)
    own, theirs = (
        {name: value for name, value in one.state_dict().items() if name.startswith("backbone.")}
        for one in (model, initial)
    )
    if initial.architecture == model.architecture and initial.width != model.width and not config.energy_steps:
        wider = initial.width < model.width
        changed = widen(theirs, own, torch.Generator().manual_seed(config.seed)) if wider else narrow(initial, own)
        model.load_state_dict(changed, strict=False)
        return
    fitting = {n: value for n, value in theirs.items() if n in own and value.shape == own[n].shape}
    if len(fitting) < (len(own) if config.energy_steps else len(own) // 2):
        raise ValueError(f"initial: expected a network like that of {config.name}, got {config.initial}")
    model.load_state_dict(fitting, strict=False)
    if not config.energy_steps:
        return
    if "mixture" not in initial.starts:
        raise ValueError(f"initial: expected a checkpoint with a start.safetensors, got {config.initial}")
    model.start_tensors = initial.start_tensors
