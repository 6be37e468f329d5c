"""Reading safetensors files of somebody else: their header first, and the very bytes whose checksum was verified."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import BinaryIO

import safetensors.torch
import torch
from torch import Tensor
from torch.nn import Module

from synth.sizes import parse_json

HEADER_BYTES = 2**20
"""Of the description of its tensors with which a safetensors file begins."""
KINDS = {"I8": 1, "F16": 2, "BF16": 2, "F32": 4, "I64": 8}
"""Bytes of a number of each type that a checkpoint may hold."""


Shapes = dict[str, list[int]]
"""Of tensors, by name."""


class Damaged(ValueError):
    """A checkpoint's file is not the one that was saved."""


def read_tensors(path: Path, checksum: str | None, check: Callable[[Shapes], object]) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name: what is verified is what is loaded, the same bytes.

    Before any tensor is read, ``check`` sees the shapes of all of them and raises a ValueError for those that it does
    not want. Damaged if the file does not have that checksum (None for a file that was written just now).
    """
    with path.open("rb") as file:
        try:
            check(_header_shapes(file))
        except ValueError:
            file.seek(0)
            verify(path, hashlib.file_digest(file, "sha256"), checksum)
            raise
        file.seek(0)
        content = file.read()
    verify(path, hashlib.sha256(content), checksum)
    try:
        return safetensors.torch.load(content)
    except Exception as error:  # safetensors has its own exception type
        raise ValueError(str(error)) from None


def verify(path: Path, digest: hashlib._Hash, checksum: str | None) -> None:
    """Damaged if the ``digest`` of what was read from ``path`` is not ``checksum``, where that is known."""
    if checksum is not None and digest.hexdigest() != checksum:
        raise Damaged(path.name)


def _header_shapes(file: BinaryIO) -> Shapes:
    """The shape of every tensor in ``file``, from its header alone; ValueError unless the file is that long."""
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if not 2 <= length <= min(HEADER_BYTES, size - 8):
        raise ValueError(f"expected a header of at most {HEADER_BYTES:,} bytes, got {length:,} in {size:,}")
    header = parse_json(file.read(length))
    try:
        header.pop("__metadata__", None)
        shapes = {name: entry["shape"] for name, entry in header.items()}
        for name, shape in shapes.items():
            if not all(isinstance(n, int) and 0 <= n < 2**31 for n in shape) or len(shape) > 8:
                raise ValueError(f"{name[:80]}: expected a shape, got {str(shape)[:80]}")
        length += 8 + sum(prod(shapes[name]) * KINDS[entry["dtype"]] for name, entry in header.items())
    except (AttributeError, KeyError, TypeError):
        raise ValueError(f"expected tensors of the types {', '.join(KINDS)}, got others") from None
    if length != size:
        raise ValueError(f"expected {length:,} bytes, got {size:,}")
    return shapes


def shapes_of(kind: type[Module], config: dict) -> Shapes:
    """The shape of every tensor of the module that ``config`` describes, which takes no memory for it."""
    with torch.device("meta"):
        return {name: list(tensor.shape) for name, tensor in kind(**config).state_dict().items()}


def compare(shapes: Shapes, there: Shapes) -> None:
    """ValueError unless just the tensors of these ``shapes`` are ``there``."""
    for name in sorted(shapes.keys() | there.keys()):
        if shapes.get(name) != there.get(name):
            raise ValueError(f"{name[:80]}: expected {_shape(shapes.get(name))}, got {_shape(there.get(name))}")


def _shape(shape: list[int] | None) -> str:
    return "no such tensor" if shape is None else "x".join(map(str, shape)) or "a number"
