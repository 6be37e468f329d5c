"""Pictures that stay on disk and are decoded when they are indexed: memory does not grow with their number."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from training.sources import Source


class Stored:
    """Pictures of ``source`` that behave like a uint8 tensor (N, 3, side, side) when indexed.

    indices: of the pictures in ``source``, (N,).
    """

    def __init__(self, source: Source, indices: Tensor, side: int):
        self.source, self.indices, self.side = source, indices, side

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return len(self), 3, self.side, self.side

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Tensor | slice | int) -> Tensor:
        chosen = self.indices[index]
        if chosen.ndim == 0:
            return self._readable(int(chosen))
        return (
            torch.stack([self._readable(one) for one in chosen.tolist()])
            if len(chosen)
            else torch.empty(0, *self.shape[1:])
        )

    def split(self, size: int) -> Iterator[Tensor]:
        """Parts of ``size`` pictures, each decoded when its turn comes."""
        return (self[begin : begin + size] for begin in range(0, len(self), size))

    def subset(self, index: Tensor) -> Stored:
        return Stored(self.source, self.indices[index], self.side)

    def at(self, side: int) -> Stored:
        """The same pictures at another ``side``."""
        return Stored(self.source, self.indices, side)

    def decode(self, index: int) -> Tensor:
        """The picture ``index`` of the source, uint8 (3, side, side); whatever Pillow raises if it is damaged."""
        with Image.open(io.BytesIO(self.source.read(index))) as image:
            image.draft("RGB", (self.side, self.side))  # a JPEG several times as large is decoded at a fraction
            return torch.from_numpy(square(image.convert("RGB"), self.side))

    def _readable(self, index: int) -> Tensor:
        """The picture, or, if it is damaged, the next one of its class that is not."""
        try:
            return self.decode(index)
        except Exception as error:  # Pillow raises many kinds
            print(f"skipped {self.source.name(index)}: {error}", file=sys.stderr)
        same = (self.source.labels == self.source.labels[index]).nonzero().squeeze(1)
        for other in [*same[same > index].tolist(), *same[same < index].tolist()]:
            with suppress(Exception):
                return self.decode(other)
        raise ValueError(f"data: expected pictures like {self.source.name(index)} that can be read, got none")


def square(image: Image.Image, side: int) -> np.ndarray:
    """The middle of ``image``, resized: uint8 (3, side, side)."""
    if image.size != (side, side):
        short = min(image.size)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        image = image.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + short, top + short))
    return np.array(image).transpose(2, 0, 1)
