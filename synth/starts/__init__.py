"""Where synthesis starts: every distribution by name, and what a checkpoint keeps for them in start.safetensors."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from synth.registry import discover
from synth.starts.base import Start

STARTS: dict[str, Start] = discover("synth.starts", Start)


def available(tensors: dict[str, Tensor]) -> list[str]:
    """Names of the starts that can be sampled with ``tensors``."""
    return [name for name, start in STARTS.items() if start.tensors.keys() <= tensors.keys()]


def save(tensors: dict[str, Tensor], path: Path) -> None:
    """Write ``tensors`` in half precision."""
    save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, path)


def load(path: Path) -> dict[str, Tensor]:
    """Read ``start.safetensors``; ValueError if it is damaged or no fitted start can be sampled with it."""
    try:
        tensors = load_file(path)
        _check_shapes(tensors)
    except Exception as error:  # safetensors has its own exception type
        raise ValueError(f"start: expected a whole start.safetensors, got {path} ({error})") from None
    return tensors


def _check_shapes(tensors: dict[str, Tensor]) -> None:
    if not any(STARTS[name].tensors for name in available(tensors)):
        raise ValueError(f"no start has the tensors {', '.join(tensors)}")
    sizes: dict[str, int] = {}
    for start in STARTS.values():
        for name in start.tensors.keys() & tensors.keys():
            shape, letters = tuple(tensors[name].shape), start.tensors[name]
            if len(shape) != len(letters) or shape != tuple(map(sizes.setdefault, letters, shape)):
                raise ValueError(f"{name} of shape {shape} instead of {', '.join(letters)} with {sizes}")
