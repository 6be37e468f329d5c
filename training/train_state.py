"""Training state on disk: safetensors with a checksum, written atomically, the last two kept; one run at a time."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

KEPT = 2
Parts = dict[str, nn.Module | Optimizer]
"""What a training consists of, by name."""


def tensors(parts: Parts) -> dict[str, Tensor]:
    """Every tensor of the parts: "name.key" of a module, "name.index.key" of an optimizer's parameter ``index``."""
    result = {}
    for name, part in parts.items():
        if isinstance(part, nn.Module):
            result |= {f"{name}.{key}": tensor.clone() for key, tensor in part.state_dict().items()}
            continue
        for index, parameter in enumerate(_parameters(part)):
            state = part.state[parameter].items() if parameter in part.state else ()
            result |= {f"{name}.{index}.{key}": value for key, value in state if isinstance(value, Tensor)}
    return result


def restore(parts: Parts, tensors: dict[str, Tensor]) -> None:
    """Put what ``tensors`` returned into the parts; ValueError if these are of another network."""
    for name, part in parts.items():
        own = {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
        if isinstance(part, nn.Module):
            try:
                part.load_state_dict(own)
            except RuntimeError:
                raise ValueError("output: expected a save of this network, got one of another") from None
            continue
        parameters = _parameters(part)
        for place, value in own.items():
            index, key = place.split(".")
            parameter = parameters[int(index)]
            fits = value.shape == parameter.shape
            part.state[parameter][key] = torch.empty_like(parameter).copy_(value) if fits else value


def lock(folder: Path) -> TextIO:
    """Take ``folder`` for this process until the file that is returned is closed, or the process ends in any way.

    ValueError if another run has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ValueError(f"output: expected a folder that no other run writes to, got {folder}") from None
    return file


def check_recipe(recipe: dict, saved: dict, folder: Path) -> None:
    """ValueError that names what differs between the ``recipe`` of a run and the ``saved`` one that it would continue.

    Saves of earlier versions did not keep it: nothing is said about these.
    """
    recipe = json.loads(json.dumps(recipe))
    changed = [name for name in recipe if name in saved and recipe[name] != saved[name]]
    if changed:
        words = ", ".join(f"{name} {saved[name]} instead of {recipe[name]}" for name in changed)
        advice = "--change-recipe goes on with the new one"
        raise ValueError(f"{changed[0]}: expected the recipe of the run in {folder}, which has {words}; {advice}")


@contextmanager
def _room(step: int, partial: Path):
    """ValueError, and no half-written file, if the disk is full."""
    try:
        yield
    except Exception as error:  # safetensors has an exception type of its own
        partial.unlink(missing_ok=True)
        full = getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error)
        if not full:
            raise
        raise ValueError(f"output: expected room to save step {step}, got a full disk; the one before stays") from None


def save(folder: Path, step: int, tensors: dict[str, Tensor], facts: dict) -> None:
    """Write ``state-STEP.safetensors`` and its JSON; either both become visible whole, or the save is ignored.

    ValueError if the disk is full, or if a number is not finite; what was saved before stays.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(f"loss: expected a run that converges, got {name} that is not finite in step {step}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"state-{step:08d}.safetensors"
    partial = path.with_suffix(".partial")
    with _room(step, partial):
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial)
        facts = {**facts, "sha256": _sha256(partial)}
        _flush(partial)
        os.replace(partial, path)
        partial.write_text(json.dumps(facts))
        _flush(partial)
        os.replace(partial, path.with_suffix(".json"))
    for old in sorted(folder.glob("state-*.safetensors"))[:-KEPT]:
        old.unlink()
        old.with_suffix(".json").unlink(missing_ok=True)


def latest(folder: Path) -> tuple[dict[str, Tensor], dict] | None:
    """Tensors and facts of the newest save that is whole; corrupt or half-written ones are named and passed over."""
    for path in sorted(folder.glob("state-*.safetensors"), reverse=True):
        try:
            facts = json.loads(path.with_suffix(".json").read_text())
            if facts["sha256"] != _sha256(path):
                raise ValueError("its checksum does not match")
            return load_file(path), facts
        except (OSError, ValueError, KeyError) as error:
            print(f"passed over {path.name}: {error}", file=sys.stderr)
    return None


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
