"""A picture of every unit of the representation: ``python -m training.features CHECKPOINT``.

It takes a minute or two on a CPU, needs no data, and lets people of the app choose features to paint by looking.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor
from tqdm import tqdm

from synth import features, hub
from synth.classifier import Classifier
from synth.constraints import L2
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
"""Chosen by looking, for 32 pixels: of ``pool`` pale starts a class the one that the unit answers most, then far up."""
SERVED = 3
"""Classes named for a unit, at most."""
LEAST = 0.1
"""A class is served if it has this share of the unit's positive weights."""


def draw(model: Classifier, batch: int = 64, quiet: bool = True) -> tuple[Tensor, list[dict]]:
    """Pictures (units, 3, S, S) that drive up one unit each, and for each unit the classes that it serves.

    A row holds "classes", {name: share of the unit's positive weights in the last layer}, "activation", the unit's
    value in the picture, and "lifts", what that adds to the logit of the first class.
    """
    engine, generators = model.inference_copy(), Generators(0)
    weight = engine.head.weight.clamp_min(0)
    first = weight.argmax(0).cpu()
    pool = engine.sample_start(
        SETTINGS["start"],
        torch.arange(len(model.classes)).repeat(SETTINGS["pool"]),
        scale=SETTINGS["start_scale"],
        generator=generators,
    )
    with torch.no_grad():
        best = torch.cat([engine.representation(x) for x in pool.split(batch)]).argmax(0)
    made = []
    strided = model.image_size > 48  # such stems draw checkerboards
    ratio = model.image_size / 32  # an L2 radius grows with the side
    for part in tqdm(torch.arange(len(first)).split(batch), desc=model.name, disable=quiet):
        loss = smoothed(activations(engine, part.to(engine.device)), float(strided))
        loss = jittered(loss, SETTINGS["jitter"], generators)
        size = SETTINGS["step_size"] * ratio
        made.append(
            pgd(loss, pool[best[part]], L2(SETTINGS["epsilon"] * ratio), steps=SETTINGS["steps"], step_size=size)
        )
    pictures = torch.cat(made)
    with torch.no_grad():
        values = torch.cat([engine.representation(x) for x in pictures.split(batch)]).diagonal().cpu()
    shares = (weight / weight.sum(0).clamp_min(1e-12)).cpu()
    rows = []
    for index, value in enumerate(values.tolist()):
        best = shares[:, index].topk(min(SERVED, len(shares)))
        served = [(model.classes[c], round(s, 3)) for s, c in zip(*map(Tensor.tolist, best), strict=True) if s >= LEAST]
        lifts = value * weight[first[index], index].item()
        rows.append({"classes": dict(served), "activation": round(value, 3), "lifts": round(lifts, 3)})
    return pictures, rows


def activations(model: Classifier, wanted: Tensor) -> Objective:
    """Minus one unit for each picture, ``wanted`` (N,), with an identity gradient through the last ReLU."""
    return Objective(lambda x: -model.representation(x, identity_gradient=True).gather(1, wanted[:, None])[:, 0])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.features", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled checkpoint or a folder, with its start.safetensors")
    options = parser.parse_args(arguments)
    try:
        began, model = time.monotonic(), hub.load(options.checkpoint)
        pictures, rows = draw(model, quiet=False)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    made = {
        **SETTINGS,
        "seconds": round(time.monotonic() - began),
        "command": f"training.features {options.checkpoint}",
    }
    features.save(hub.folder(options.checkpoint), to_images(pictures), rows, made)


if __name__ == "__main__":
    main()
