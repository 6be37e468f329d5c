"""Can people name what they see? ``python -m bench.naming`` writes a sheet of numbered samples without their names.

Classes and seeds are random; the names are in a file beside it, to open afterwards. With ``--real FOLDER`` the pictures
are real ones of the test data in that folder, for comparison.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

import torch
from torch import Tensor

import synth
from synth import hub, pictures
from synth.classifier import Classifier
from training import data

COLUMNS = 8


def generated(model: Classifier, preset: str, count: int, chance: random.Random) -> tuple[Tensor, list[str]]:
    """``count`` pictures and the names of their classes."""
    samples = [(chance.choice(model.classes), chance.randrange(1000, 10**6)) for _ in range(count)]
    images = [synth.generation(model, class_name=name, count=1, seed=s, preset=preset).pictures for name, s in samples]
    return torch.cat(images), [name for name, _ in samples]


def real(model: Classifier, folder: str, count: int, chance: random.Random) -> tuple[Tensor, list[str]]:
    """``count`` real pictures, of random classes each, and the names of these."""
    test = data.of(model, "test", folder)
    names = [chance.choice(model.classes) for _ in range(count)]
    of_class = {name: (test.labels == test.classes.index(name)).nonzero().squeeze(1).tolist() for name in names}
    return test[torch.tensor([chance.choice(of_class[name]) for name in names])][0], names


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.naming", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=hub.DEFAULT)
    parser.add_argument("--preset", default="tuned")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="decides classes and seeds")
    parser.add_argument("--real", metavar="FOLDER", help="show real test pictures of this folder instead")
    parser.add_argument("--output", type=Path, default=Path("plates"), help="folder of naming.png and naming.txt")
    options = parser.parse_args(arguments)
    chance = random.Random(options.seed)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        model = synth.load(options.checkpoint)
        if options.real:
            images, names = real(model, options.real, options.count, chance)
        else:
            images, names = generated(model, options.preset, options.count, chance)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    pictures.sheet(images, columns=COLUMNS, zoom=-(-192 // model.image_size)).save(options.output / "naming.png")
    lines = [f"{number}: {name}, {model.group(name)}" for number, name in enumerate(names, 1)]
    (options.output / "naming.txt").write_text("\n".join(lines) + "\n")
    print(f"{options.output / 'naming.png'}: {COLUMNS} a row; then compare with naming.txt")


if __name__ == "__main__":
    main()
