"""Which of two checkpoints draws better? ``python -m bench.pairs A B`` writes a sheet of pairs in random order.

One pair of every class, from the same seed; who is left and who is right is in a file beside it, to open afterwards.
With ``--preset-of`` both take the settings of one of them, so that the eye judges the weights alone.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

import synth
from bench.plates import label_rows
from synth import pictures


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.pairs", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoints", nargs=2, metavar="CHECKPOINT")
    parser.add_argument("--preset-of", metavar="CHECKPOINT", help="whose settings both take (default: each its own)")
    parser.add_argument("--seed", type=int, default=0, help="of every picture, and of the order")
    parser.add_argument("--output", type=Path, default=Path("plates"), help="folder of pairs.png and pairs.txt")
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    chance, rows, key = random.Random(options.seed), [], []
    try:
        models = [synth.load(name) for name in options.checkpoints]
        settings = synth.generation.defaults(synth.load(options.preset_of)) if options.preset_of else {}
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    settings = settings | {"count": 1, "seed": options.seed}
    for number, name in enumerate(models[0].classes, 1):
        order = chance.sample(models, 2)
        made = [synth.generation(model, **settings | {"class_name": name}).pictures for model in order]
        rows += made
        key.append(f"{number}. {name}: left {order[0].source}, right {order[1].source}")
    titles = [f"{number}. {name}" for number, name in enumerate(models[0].classes, 1)]
    label_rows(pictures.sheet(torch.cat(rows), columns=2), titles, 200).save(options.output / "pairs.png")
    (options.output / "pairs.txt").write_text("\n".join(key) + "\n")


if __name__ == "__main__":
    main()
