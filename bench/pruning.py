"""Structured pruning: ``python -m bench.pruning CHECKPOINT --data FOLDER --output FOLDER``.

The strongest channels of a checkpoint make narrower networks (``training.narrow``), which its recipe trains for a few
epochs: size and time of the exported classifier on one core, accuracy, and samples as the bundled judge sees them,
with a sheet of the same seeds by each, FOLDER/samples.webp.
A run that was cut off goes on with the same command. Needs ``pip install onnx onnxruntime onnxscript``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from bench.edge import attacked, milliseconds, session
from synth import hub
from synth.classifier import Classifier
from synth.pictures import sheet
from training import machine
from training.data import of
from training.export.graphs import logits
from training.intervals import proportion
from training.judge import Reference, judge_samples, load_judge
from training.recipes import recipe
from training.sampling import balanced, generate
from training.tables import interval_cell, table
from training.train import train


def measure(
    model: Classifier, x: torch.Tensor, y: torch.Tensor, samples: int, reference: Reference, file: Path
) -> tuple[list, torch.Tensor]:
    """A row of the table, without its title, and two samples (2K, 3, S, S) of each class; ``file`` gets the export."""
    file.write_bytes(logits(model))
    time = milliseconds(session(file), x[:1].numpy())
    engine, epsilon = model.inference_copy(), model.info["recipe"]["epsilon"]
    right = []
    for pictures in (x, attacked(model, x, y, epsilon)):
        with torch.no_grad():
            found = torch.cat([engine(part).argmax(1) for part in pictures.split(50)])
        right.append(proportion(int((found == y).sum()), len(y)))
    made = generate(model, samples, accelerator=machine.accelerate(device="cpu"))
    figures = judge_samples(made.pictures, made.labels, reference)
    weights = sum(one.numel() for one in model.parameters())
    cells = map(interval_cell, [*right, figures["judge_accuracy"]])
    size = file.stat().st_size
    row = [f"{weights / 1e6:.2f}", f"{size / 1e6:.1f}", f"{time:.2f}", *cells, f"{figures['fid']:.3g}"]
    shown = [made.pictures[made.labels == label][:2] for label in range(len(model.classes))]
    return row, torch.cat(shown) / 255


def pruned(model: Classifier, name: str, width: float, epochs: int, source: str, folder: Path) -> Classifier:
    """The network of ``width`` times the channels of torchvision's, trained for ``epochs`` by the recipe ``name``.

    It draws the starts of ``model``, which are statistics of the data alone.
    """
    config = recipe(name, name=f"{name}-{width:g}", width=width, epochs=epochs, initial=str(model.folder))
    small = train(config, source, folder / config.name, quiet=True)
    small.start_tensors = model.start_tensors
    return small


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pruning", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name that is a recipe's too")
    parser.add_argument("--data", required=True, help="folder or Hub data set")
    parser.add_argument("--output", type=Path, required=True, help="folder for the trainings")
    parser.add_argument(
        "--widths", nargs="+", type=float, default=[0.375, 0.25, 0.125], help="default 0.375 0.25 0.125"
    )
    parser.add_argument("--epochs", type=int, default=5, help="of each training (default 5)")
    parser.add_argument("--count", type=int, default=1000, help="test pictures (default 1000)")
    parser.add_argument("--samples", type=int, default=500, help="samples of each (default 500)")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    model = hub.load(options.checkpoint)
    known, test = (of(model, split, options.data) for split in ("train", "test"))
    x, y = balanced(test, options.count)[:]
    reference = Reference(load_judge(None, model).inference_copy(), balanced(known, options.samples).pictures)
    rows, drawn = [], []
    for width in (model.width, *options.widths):
        small = model
        if width != model.width:
            small = pruned(model, options.checkpoint, width, options.epochs, options.data, options.output)
        row, made = measure(small.to("cpu"), x, y, options.samples, reference, options.output / f"{width:g}.onnx")
        rows.append([f"{width:g}", *row])
        drawn.append(made)
    head = ["width", "M weights", "MB", "ms a picture", "clean", "PGD-20", "samples seen as their class", "FID"]
    print(table(head, rows))
    sheet(torch.cat(drawn), columns=2 * len(model.classes), zoom=2).save(options.output / "samples.webp", quality=75)


if __name__ == "__main__":
    main()
