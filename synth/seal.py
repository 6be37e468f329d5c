"""What makes a checkpoint the one that was saved: checksums of its files, and its answer to one known picture."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import torch
from torch import Tensor, nn

FILE = "seal.json"
SEALED = ("model.safetensors", "start.safetensors", "decoder.safetensors")
"""Files whose SHA-256 it holds, if they are there."""
SHOWN = 16
"""Logits it holds, at most."""
TOLERANCE = 0.01
"""Of the largest logit: more than other machines and versions differ, less than a wrong preprocessing would."""


def golden(size: int) -> Tensor:
    """The known picture (1, 3, size, size): smooth waves of each colour, the same everywhere."""
    line = torch.arange(size) / size
    waves = [torch.sin(6.3 * (k + 1) * line)[:, None] * torch.cos(6.3 * (k + 2) * line)[None] for k in range(3)]
    return (0.5 + 0.4 * torch.stack(waves))[None]


@torch.no_grad()
def answer(model: nn.Module, size: int) -> list[float]:
    """The first logits of ``model`` for ``golden(size)``."""
    training = model.training
    logits = model.eval()(golden(size).to(next(model.parameters())))[0, :SHOWN]
    model.train(training)
    return [round(value, 5) for value in logits.tolist()]


def compact(tensor: Tensor) -> Tensor:
    """As it is saved: matrices in half precision, vectors as they are."""
    tensor = tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
    return tensor.contiguous().clone()


def write(folder: Path, model: nn.Module, size: int) -> None:
    """Seal the files in ``folder``; ``model`` is what they hold."""
    sums = {name: _sha256(folder / name) for name in SEALED if (folder / name).exists()}
    (folder / FILE).write_text(json.dumps({"sha256": sums, "logits": answer(model, size)}, indent=1) + "\n")


def broken(folder: Path) -> str:
    """Why the files in ``folder`` are not those that were sealed; "" if they are."""
    try:
        sums = json.loads((folder / FILE).read_text())["sha256"].items()
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return f"no readable {FILE}"
    for name, told in sums:
        if name not in SEALED or not (folder / name).exists():
            return f"no {name}"
        if _sha256(folder / name) != told:
            return f"{name} differs from its checksum in {FILE}"
    return "" if SEALED[0] in dict(sums) else f"no checksum of {SEALED[0]} in {FILE}"


def mistaken(folder: Path, model: nn.Module, size: int) -> str:
    """Why ``model``, loaded from ``folder``, does not answer as the one that was sealed; "" if it does."""
    told = torch.tensor(json.loads((folder / FILE).read_text())["logits"], dtype=torch.float)
    found = torch.tensor(answer(model, size))
    if told.shape != found.shape or not (told - found).abs().max() <= TOLERANCE * told.abs().max().clamp_min(1):
        return "its logits for the known picture differ from those that were sealed"
    return ""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
