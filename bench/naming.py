"""Can people name what they see? ``python -m bench.naming`` writes a sheet of numbered samples without their names.

Classes and seeds are random; the names are in a file beside it, to open afterwards.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch

import synth
from synth import hub, pictures

COLUMNS = 8


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.naming", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=hub.DEFAULT)
    parser.add_argument("--preset", default="tuned")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="decides classes and seeds")
    parser.add_argument("--output", type=Path, default=Path("plates"), help="folder of naming.png and naming.txt")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        model = synth.load(options.checkpoint)
        samples = [(chance.choice(model.classes), chance.randrange(1000, 10**6)) for _ in range(options.count)]
        images = [
            synth.generation(model, class_name=name, count=1, seed=seed, preset=options.preset).pictures
            for name, seed in samples
        ]
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    pictures.sheet(torch.cat(images), columns=COLUMNS, zoom=-(-192 // model.image_size)).save(
        options.output / "naming.png"
    )
    lines = [f"{number}: {name}, {model.group(name)}" for number, (name, _) in enumerate(samples, 1)]
    (options.output / "naming.txt").write_text("\n".join(lines) + "\n")
    print(f"{options.output / 'naming.png'}: {COLUMNS} a row; then compare with naming.txt")


if __name__ == "__main__":
    main()
