"""Where synthesis starts: every distribution by name, and what a checkpoint keeps for them in start.safetensors."""

from __future__ import annotations

from math import isqrt
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from synth.registry import discover
from synth.sizes import SIDE
from synth.starts.base import Start
from synth.tensor_files import Damaged, Shapes, read_tensors

STARTS: dict[str, Start] = discover("synth.starts", Start)

STEP = ".step"
"""After the name of a tensor in eight bits: what its whole numbers are multiplied by."""


def available(tensors: dict[str, Tensor]) -> list[str]:
    """Names of the starts that can be sampled with ``tensors``."""
    return [name for name, start in STARTS.items() if start.tensors.keys() <= tensors.keys()]


def save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write ``tensors`` in half precision; those of three dimensions and more in eight bits a number, ``rounded``.

    What was read from such a file gives the same file again.
    """
    written = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 3:
            written[name] = tensor.half().contiguous()
        else:
            written[name], written[name + STEP] = rounded(tensor)
    save_file(written, path)


def rounded(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """int8 (..., K) and the power of two (..., 1), in half precision, that times these is ``tensor``, rounded."""
    largest = tensor.float().abs().amax(-1, keepdim=True)
    step = torch.where(largest > 0, largest / 127, 1).log2().ceil().clamp(-24, 8).exp2()
    return (tensor.float() / step).round().clamp(-127, 127).to(torch.int8).contiguous(), step.half()


def load(path: Path, checksum: str | None = None, classes: int | None = None) -> dict[str, Tensor]:
    """Read ``start.safetensors``; ValueError if it is damaged or no fitted start can be sampled with it.

    checksum, classes: what the file must have, and of how many classes, where that is known.
    """
    try:
        tensors = _joined(read_tensors(path, checksum, lambda shapes: _check_shapes(shapes, classes)))
        _check_values(tensors)
    except Damaged:
        raise
    except (OSError, ValueError) as error:
        raise ValueError(
            f"start: expected a whole start.safetensors, got {' '.join(str(error).split())[:160]}"
        ) from None
    return tensors


def _joined(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Half-precision tensors for those that were ``rounded``."""
    steps = {name: tensors.pop(name) for name in list(tensors) if name.endswith(STEP)}
    for name, step in steps.items():
        whole = name.removesuffix(STEP)
        tensors[whole] = tensors[whole].half() * step
    return tensors


def _check_shapes(shapes: Shapes, classes: int | None) -> None:
    """ValueError unless some fitted start of ``classes`` classes can be sampled with tensors of these ``shapes``."""
    if not any(start.tensors and start.tensors.keys() <= shapes.keys() for start in STARTS.values()):
        raise ValueError(f"no start has the tensors {', '.join(shapes)[:160]}")
    for name in filter(lambda name: name.endswith(STEP), shapes):
        whole = shapes.get(name.removesuffix(STEP))
        if not whole or list(shapes[name]) != [*whole[:-1], 1]:
            raise ValueError(f"{name} of shape {tuple(shapes[name])} beside {tuple(whole or ())}")
    sizes = {} if classes is None else {"C": classes}
    for start in STARTS.values():
        for name in start.tensors.keys() & shapes.keys():
            shape, letters = tuple(shapes[name]), start.tensors[name]
            if len(shape) != len(letters) or shape != tuple(map(sizes.setdefault, letters, shape)):
                raise ValueError(f"{name} of shape {shape} instead of {', '.join(letters)} with {sizes}")
    pixels = sizes.get("D", 3)
    side = isqrt(pixels // 3)
    if pixels != 3 * side * side or not 1 <= side <= SIDE:
        raise ValueError(f"expected pictures of at most {SIDE} pixels a side, got {pixels:,} values")


def _check_values(tensors: dict[str, Tensor]) -> None:
    """ValueError for statistics that are not finite, and for weights that are none."""
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"{name}: expected finite numbers, got others")
    weights = tensors.get("weights")
    if weights is not None and ((weights < 0).any() or not weights.sum(-1).all()):
        raise ValueError("weights: expected numbers from 0 on, one above 0 for each class, got others")
