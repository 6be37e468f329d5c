"""A picture of every feature of the representation: ``python -m training.features CHECKPOINT``.

It takes a minute or two on a CPU, needs no data, and lets users of the app choose features to paint by looking.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor
from tqdm import tqdm

from synth import checkpoint, hub
from synth.classifier import Classifier
from synth.constraints import L2
from synth.features import SHOWN, Feature, FeatureGallery
from synth.multiscale import shrink
from synth.objectives import Objective, jittered, smoothed
from synth.pgd import pgd
from synth.pictures import to_images
from synth.randomness import Generators

SETTINGS = {
    "start": "gaussian",
    "start_scale": 0.5,
    "pool": 20,
    "epsilon": 14,
    "steps": 50,
    "step_size": 0.3,
    "jitter": 2,
}
"""Chosen by looking, for 32 pixels. Of ``pool`` pale starts for each class, the one that drives the feature most."""
SERVED = 3
"""Classes named for a feature, at most."""
LEAST = 0.1
"""A class is served if it has this share of the feature's positive weights."""
BATCH = 64


def draw(model: Classifier, quiet: bool = True) -> tuple[Tensor, FeatureGallery]:
    """Pictures (features, 3, S, S) that drive up one feature each, and the gallery that shows them.

    S is the model's size, or half of it where that is larger than a gallery shows.

    A feature's classes come with their share of its positive weights in the last layer; what it lifts is the logit of
    the first one, by its value in the picture times its weight.
    """
    engine, generators = model.inference_copy(), Generators(0)
    weight = engine.head.weight.clamp_min(0)
    pool = engine.sample_start(
        SETTINGS["start"],
        torch.arange(len(model.classes)).repeat(SETTINGS["pool"]),
        scale=SETTINGS["start_scale"],
        generator=generators,
    )
    pool = shrink(pool) if model.image_size > SHOWN else pool
    with torch.no_grad():
        best = torch.cat([engine.representation(x) for x in pool.split(BATCH)]).argmax(0)
    parts = []
    strided = model.image_size > 48  # such stems draw checkerboards
    ratio = pool.shape[-1] / 32  # an L2 radius grows with the side
    for indices in tqdm(torch.arange(weight.shape[1]).split(BATCH), desc=model.name, disable=quiet):
        loss = smoothed(activations(engine, indices.to(engine.device)), float(strided))
        loss = jittered(loss, SETTINGS["jitter"], generators)
        size = SETTINGS["step_size"] * ratio
        ball = L2(SETTINGS["epsilon"] * ratio)
        parts.append(pgd(loss, pool[best[indices]], ball, steps=SETTINGS["steps"], step_size=size))
    pictures = torch.cat(parts)
    with torch.no_grad():
        values = torch.cat([engine.representation(x) for x in pictures.split(BATCH)]).diagonal().tolist()
    shares = (weight / weight.sum(0).clamp_min(1e-12)).T.cpu()
    features = []
    for index, (picture, value) in enumerate(zip(to_images(pictures), values, strict=True)):
        largest = zip(*map(Tensor.tolist, shares[index].topk(min(SERVED, len(weight)))), strict=True)
        classes = {model.classes[label]: round(share, 3) for share, label in largest if share >= LEAST}
        lifts = value * weight[:, index].max().item()
        features.append(Feature(index, picture, classes, round(lifts, 3), round(value, 3)))
    return pictures, FeatureGallery(features, SETTINGS)


def activations(model: Classifier, indices: Tensor) -> Objective:
    """Minus one feature for each picture, by its number in ``indices`` (N,); its last ReLU passes every gradient."""
    return Objective(lambda x: -model.representation(x, identity_gradient=True).gather(1, indices[:, None])[:, 0])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.features", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled checkpoint or a folder, with its start.safetensors")
    options = parser.parse_args(arguments)
    try:
        began, model = time.monotonic(), hub.load(options.checkpoint)
        _, gallery = draw(model, quiet=False)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    cost = {"seconds": round(time.monotonic() - began), "command": f"training.features {options.checkpoint}"}
    gallery.settings = SETTINGS | cost
    checkpoint.add(model.folder, features=gallery)


if __name__ == "__main__":
    main()
