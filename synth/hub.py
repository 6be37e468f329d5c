"""A checkpoint by name: the bundled folder, then any local folder, then the Hugging Face Hub."""

from __future__ import annotations

import json
import os
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from synth.classifier import RobustClassifier
from synth.start import Start

DEFAULT = "tiny64-resnet18-slim-l2-dual"
"""The bundled checkpoint that the app opens with and the commands use unless told."""
SECOND = "cifar10-resnet18-slim-l2-dual"
"""The one that choosers show after it."""
BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints"
FILES = ["config.json", "model.safetensors", "start.safetensors", "evaluation.json", "units.png", "units.json"]


def bundled() -> list[str]:
    """Names of the checkpoints in the repository."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/model.safetensors"))


def for_synthesis() -> list[str]:
    """Names of the bundled checkpoints that come with starts, DEFAULT and SECOND first; the others only judge."""
    found = [name for name in bundled() if (BUNDLED / name / "start.safetensors").exists()]
    return sorted(found, key=lambda name: (name != DEFAULT, name != SECOND, name))


def load(name: str | Path, *, revision: str | None = None, device: str = "cpu") -> RobustClassifier:
    """The checkpoint called ``name``, in eval mode: a bundled one, a folder, or "owner/name" on the Hub.

    Only safetensors and JSON are read, and every weight must be there. ValueError, one sentence, otherwise.
    """
    path = folder(str(name), revision)
    try:
        config = json.loads((path / "config.json").read_text())
        model = RobustClassifier(**config)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"checkpoint: expected a readable config.json in {name}, got {error}") from None
    model = RobustClassifier._load_as_safetensor(model, path / "model.safetensors", "cpu", True)
    model.source = str(name)
    if (path / "start.safetensors").exists():
        model.start = Start.load(path / "start.safetensors")
    model.info.setdefault("name", path.name)
    return model.to(device)


def folder(name: str, revision: str | None = None) -> Path:
    """Where the files of checkpoint ``name`` lie, downloaded if need be; ValueError if there is no such thing."""
    for path in (BUNDLED / name, Path(name)):
        if name and os.path.exists(path / "config.json"):  # false, too, for a name too long for a file
            return path
    if name.count("/") != 1:
        raise ValueError(
            f"checkpoint: expected one of {', '.join(bundled())}, a folder or owner/name on the Hub, got {name[:80]!r}"
        )
    request = dict(revision=revision, allow_patterns=FILES)
    try:
        return Path(snapshot_download(name, local_files_only=True, **request))
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        pass
    try:
        return Path(snapshot_download(name, **request))
    except (HFValidationError, OSError) as error:  # the Hub client's and network errors are OSErrors
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            f"checkpoint: expected a reachable Hub repository, got {name[:80]!r} ({reason[:300]})"
        ) from None
