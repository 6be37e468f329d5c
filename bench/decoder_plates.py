"""The sheets of decoded features in docs/tiny64: ``python -m bench.decoder_plates``; ``--data``: of real pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

import synth
from bench.plates import DOCS, Sheets
from synth import pictures
from synth.examples import styles
from synth.randomness import Generators, draw

FAMILY = "tiny64"
SIGMA = 50
"""Standard deviation of the noise, in levels of 255."""


class DecoderSheets(Sheets):
    """The results of the decoders of a family's robust and standard checkpoints for the same pictures."""

    def all(self) -> None:
        for sheet in (self.reconstruction, self.interpolation, self.denoising, self.style_transfer, self.anomalies):
            sheet()

    def reconstruction(self) -> None:
        """From every depth, and optimised from noise."""
        x = torch.cat([self.picture(name) for name in self.classes])
        rows = [("picture", x)]
        for title, model in self.models.items():
            engine = model.inference_copy()
            for depth in range(1, engine.decoder.depth + 1):
                rows.append((f"{title}, depth {depth}", engine.decoder(engine.maps(x, depth)[-1], depth)))
            images = [synth.reconstruction(model, picture=one, beside="none", depth=4).pictures[1:] for one in x]
            rows.append((f"{title}, optimised", torch.cat(images)))
        self.rows("reconstruction", rows, self.classes)

    def interpolation(self) -> None:
        rows = []
        for source, target in list(self.robust.pairs.items())[:4]:
            ends = {"picture": self.picture(source)[0], "other": self.picture(target)[0]}
            frames = {title: synth.interpolation(model, count=8, **ends) for title, model in self.models.items()}
            rows += [(f"{source}, faded", frames["robust"].start)]
            rows += [(f"{source}, {title}", frame.pictures) for title, frame in frames.items()]
        self.rows("interpolation", rows)

    def denoising(self) -> None:
        x = torch.cat([self.picture(name) for name in self.classes])
        noisy = (x + SIGMA / 255 * draw(x, Generators(0))).clamp(0, 1)
        rows = [("picture", x), (f"sigma {SIGMA} of 255", noisy)]
        for title, model in self.models.items():
            images = [synth.denoising(model, picture=one, sigma=0).pictures for one in noisy]
            rows.append((title, torch.cat(images)))
        self.rows("denoising", rows, self.classes)

    def style_transfer(self) -> None:
        names = self.classes[:5]
        content = [self.picture(name)[0] for name in names]
        size = 4 * self.size
        rows = [("picture", torch.cat([pictures.to_tensor(pictures.read(one), size) for one in content]))]
        for name, style in styles().items():
            for title, model in self.models.items():
                images = [synth.style_transfer(model, picture=one, style=style).pictures for one in content]
                rows.append((f"{name}, {title}", torch.cat(images)))
        self.rows("style_transfer", [(title, F.avg_pool2d(x, 2)) for title, x in rows], names)  # half, to be small

    def anomalies(self) -> None:
        """The results of each decoder of one kind of pictures for every class, and where they fail."""
        x = torch.cat([self.picture(name) for name in self.classes])
        rows = [("picture", x)]
        for name in [name for name in self.robust.decoders if name] or [""]:
            images = [
                synth.anomaly_detection(self.robust, picture=one, normal=name, show="rebuilt").pictures for one in x
            ]
            rows += [(f"as {name}", torch.cat([one[1:2] for one in images]))]
            rows += [("what does not fit", torch.cat([one[:1] for one in images]))]
        self.rows("anomalies", rows, self.classes)

    def rows(self, name: str, rows: list[tuple[str, Tensor]], heads: list[str] | None = None) -> None:
        self.save(name, [(title, list(x.detach().split(1))) for title, x in rows], heads)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.decoder_plates", description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder or Hub data set, to start from its test pictures")
    parser.add_argument("--output", type=Path, default=Path("plates"), help="folder for the sheets of --data")
    options = parser.parse_args()
    DecoderSheets(FAMILY, options.output if options.data else DOCS / FAMILY, options.data).all()


if __name__ == "__main__":
    main()
