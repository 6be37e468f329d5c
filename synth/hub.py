"""A checkpoint by name: the bundled folder, then any local folder, then the Hugging Face Hub."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import httpx2
from huggingface_hub import scan_cache_dir, snapshot_download
from huggingface_hub.constants import HF_HUB_CACHE
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from synth import autoencoder, seal, starts
from synth.classifier import Classifier

DEFAULT = "tiny64-resnet18-slim-l2"
"""The bundled checkpoint that the app opens with and the commands use unless told."""
SECOND = "cifar10-resnet18-slim-l2-dual"
"""The one that choosers show after it."""
BUNDLED = Path(__file__).resolve().parent.parent / "checkpoints"
FILES = ["config.json", "model.safetensors", "start.safetensors", "seal.json", "evaluation.json", *autoencoder.FILES]
PICTURES = ["units.png", "units.json", "examples/*.png"]
"""What the app shows besides."""


def bundled() -> list[str]:
    """Names of the checkpoints in the repository."""
    return sorted(path.parent.name for path in BUNDLED.glob("*/model.safetensors"))


def listed() -> list[str]:
    """Names "owner/name" of checkpoints on the Hub, a line each in checkpoints/hub.txt, that the app offers."""
    path = BUNDLED / "hub.txt"
    return path.read_text().split() if path.exists() else []


def selectable() -> list[str]:
    """Names of the bundled checkpoints that come with starts, DEFAULT and SECOND first, then of the ``listed`` ones."""
    found = [name for name in bundled() if (BUNDLED / name / "start.safetensors").exists()]
    return sorted(found, key=lambda name: (name != DEFAULT, name != SECOND, name)) + listed()


def load(name: str | Path, *, revision: str | None = None, device: str = "cpu") -> Classifier:
    """The checkpoint called ``name``, in eval mode: a bundled one, a folder, or "owner/name" on the Hub.

    Only safetensors and JSON are read. Every weight must be there, the files must have the checksums of their seal, and
    the model must answer the known picture as it did when it was saved. ValueError, one sentence, otherwise.
    """
    path = folder(str(name), revision)
    reason = seal.broken(path)
    if reason:
        raise ValueError(f"checkpoint: expected whole files in {name}, got {reason}")
    try:
        config = json.loads((path / "config.json").read_text())
        model = Classifier(**config)
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(f"checkpoint: expected a readable config.json in {name}, got {error}") from None
    model = Classifier._load_as_safetensor(model, path / "model.safetensors", "cpu", True)
    reason = seal.mistaken(path, model, model.image_size)
    if reason:
        raise ValueError(f"checkpoint: expected the model that was saved in {name}, but {reason}")
    model.source = str(name)
    if (path / "start.safetensors").exists():
        model.start_tensors = starts.load(path / "start.safetensors")
    model.info.setdefault("name", path.name)
    model.decoders = {name: decoder.to(device) for name, decoder in autoencoder.load(path).items()}
    return model.to(device)


def folder(name: str, revision: str | None = None, progress: Callable[[int, int], object] | None = None) -> Path:
    """Where the files of checkpoint ``name`` lie, downloaded if need be; ValueError if there is no such thing.

    ``progress`` is told the bytes that are here and those that there are, as far as known, while they come.
    """
    for path in (BUNDLED / name, Path(name)):
        if name and os.path.exists(path / "config.json"):  # false, too, for a name too long for a file
            return path
    if name.count("/") != 1:
        raise ValueError(
            f"checkpoint: expected one of {', '.join(bundled())}, a folder or owner/name on the Hub, got {name[:80]!r}"
        )
    request = dict(revision=revision, allow_patterns=[*FILES, *PICTURES])
    try:
        path = Path(snapshot_download(name, local_files_only=True, **request))
        if not _unfit(path):
            return path
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        pass
    request |= {"tqdm_class": _bar(progress)} if progress is not None else {}
    try:
        path = Path(snapshot_download(name, **request))
        if _unfit(path):  # what lies in the cache is damaged
            path = Path(snapshot_download(name, force_download=True, **request))
    except HFValidationError as error:
        raise ValueError(f"checkpoint: expected owner/name on the Hub, got {name[:80]!r} ({_first(error)})") from None
    except RevisionNotFoundError:
        raise ValueError(f"revision: expected one of {name[:80]}, got {str(revision)[:80]!r}") from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"checkpoint: expected a Hub repository that exists and that your token may read, got {name[:80]!r}"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, httpx2.HTTPError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ValueError(f"checkpoint: expected room on the disk for {name[:80]}, got none left") from None
        raise ValueError(
            f"checkpoint: expected a reachable Hub repository, got {name[:80]!r} ({_first(error)[:300]})"
        ) from None
    reason = _unfit(path)
    if reason:
        raise ValueError(f"checkpoint: expected a whole checkpoint in {name[:80]}, got {reason}")
    return path


def cached() -> list[str]:
    """Names "owner/name" of the checkpoints that were downloaded whole."""
    found = []
    for repository in scan_cache_dir().repos if Path(HF_HUB_CACHE).is_dir() else ():
        paths = [revision.snapshot_path for revision in repository.revisions]
        if repository.repo_type == "model" and any(not _unfit(path) for path in paths):
            found.append(repository.repo_id)
    return sorted(found)


def _unfit(path: Path) -> str:
    """Why the folder holds no whole checkpoint, "" if it does."""
    missing = [name for name in FILES[:2] if not (path / name).exists()]
    return f"no {missing[0]}" if missing else seal.broken(path)


def _bar(progress: Callable[[int, int], object]) -> type:
    """A progress bar that shows nothing and tells ``progress`` of bytes."""

    class Told(tqdm):
        def __init__(self, *arguments, name: str | None = None, **more):
            super().__init__(*arguments, **more | {"disable": False, "file": io.StringIO()})

        def display(self, *_, **__):
            if self.unit == "B" and self.total:
                progress(int(self.n), int(self.total))

    return Told


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
