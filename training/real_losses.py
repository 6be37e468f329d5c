"""What real pictures score: ``python -m training.real_losses CHECKPOINT --data FOLDER`` adds it to config.json.

Generation may stop each picture there (after the reference energy of arXiv 2407.06315), so that none is driven beyond.
"""

from __future__ import annotations

import argparse

import torch
from torch import Tensor

from synth import checkpoint, hub
from synth.classifier import Classifier
from synth.objectives import cross_entropy, logit
from training import loop, machine
from training.data import Pictures, of

OBJECTIVES = {"logit": logit, "cross-entropy": cross_entropy}
BATCH = 128


@torch.no_grad()
def real_losses(model: Classifier, data: Pictures) -> dict[str, list[float]]:
    """The median loss of the pictures of each class of ``data``, by objective."""
    engine, losses = model.inference_copy(), {name: [] for name in OBJECTIVES}
    parts = torch.arange(len(data)).split(BATCH)
    for pictures, labels in loop.feed(data, list(parts)):
        for name, objective in OBJECTIVES.items():
            losses[name].append(objective(engine, labels.to(engine.device))(pictures.to(engine.device)).cpu())
    return {name: _medians(torch.cat(values), data) for name, values in losses.items()}


def _medians(losses: Tensor, data: Pictures) -> list[float]:
    return [round(losses[data.labels == label].median().item(), 4) for label in range(len(data.classes))]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.real_losses", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    options = parser.parse_args(arguments)
    machine.keep_memory()
    try:
        model = hub.load(options.checkpoint)
        losses = real_losses(model, of(model, "train", options.data))
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    checkpoint.add(model.folder, real_losses=losses)
    for index, name in enumerate(model.classes):
        print(f"{name}: " + ", ".join(f"{kind} {values[index]:g}" for kind, values in losses.items()))


if __name__ == "__main__":
    main()
