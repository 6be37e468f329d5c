"""The browser app: ``python app.py --port 7860``. What is on the page is in ``synth/web``."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from functools import lru_cache, partial

from PIL import Image

from synth.pictures import to_images
from synth.web.launch import add_options, launch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--data", help="data set whose test pictures can be picked: a folder, or its name on the Hub")
    options = parser.parse_args()
    launch(options, sampler(options.data) if options.data else None)


def sampler(data: str) -> Callable[[int], Image.Image]:
    """A function that returns a random test picture of a data set, at a side in pixels."""
    from training.data import load

    test = lru_cache(maxsize=1)(partial(load, data, "test"))

    def sample(size: int) -> Image.Image:
        dataset = test(size)
        return to_images(dataset[[random.randrange(len(dataset))]][0])[0]

    return sample


if __name__ == "__main__":
    main()
