"""Where the checkpoint of a name lies: the bundled folder, then any local folder, then the Hugging Face Hub."""

from __future__ import annotations

import os
from pathlib import Path

from huggingface_hub import scan_cache_dir
from huggingface_hub.constants import HF_HUB_CACHE

from synth import access, checkpoint, downloads
from synth.checkpoint import BUNDLED
from synth.classifier import Classifier

DEFAULT = "tiny64-resnet18-slim-l2"
"""The bundled checkpoint that the app opens with and that the commands use by default."""
SECOND = "cifar10-resnet18-slim-l2-dual"
"""The one that choosers show after it."""


def bundled() -> list[str]:
    """Names of the checkpoints in the repository."""
    return sorted(path.parent.name for path in BUNDLED.glob(f"*/{checkpoint.WEIGHTS}"))


def listed() -> list[str]:
    """Names "owner/name" of checkpoints on the Hub, a line each in checkpoints/hub.txt, that the app offers."""
    path = BUNDLED / "hub.txt"
    return path.read_text().split() if path.exists() else []


def selectable() -> list[str]:
    """Names of the bundled checkpoints that come with starts, DEFAULT and SECOND first, then of the ``listed`` ones."""
    names = [name for name in bundled() if checkpoint.start_path(BUNDLED / name).exists()]
    return sorted(names, key=lambda name: (name != DEFAULT, name != SECOND, name)) + listed()


def default() -> str:
    """The checkpoint to use when none is named: DEFAULT, else the first that can be chosen; ValueError if none can."""
    names = selectable()
    if not names:
        raise ValueError(
            "checkpoint: expected a folder or owner/name on the Hub, since none comes with this installation"
        )
    return names[0]


def cached() -> list[str]:
    """Names "owner/name" of the checkpoints that were downloaded completely."""
    names = []
    for repository in scan_cache_dir().repos if Path(HF_HUB_CACHE).is_dir() else ():
        folders = [revision.snapshot_path for revision in repository.revisions]
        if repository.repo_type == "model" and any(downloads.is_complete(folder) for folder in folders):
            names.append(repository.repo_id)
    return sorted(names)


def load(name: str | Path, *, revision: str | None = None, device: str = "cpu") -> Classifier:
    """The checkpoint called ``name``, in eval mode: a bundled one, a folder, or "owner/name" on the Hub.

    What is damaged in the cache is downloaded once more. ValueError, one sentence, if ``checkpoint.load`` refuses it,
    or if ``folder`` does.
    """
    name = str(name)
    try:
        return checkpoint.load(folder(name, revision), name=name, device=device)
    except checkpoint.Damaged:
        if _local(name) or access.is_public():
            raise
        return checkpoint.load(downloads.download(name, revision, force=True), name=name, device=device)


def folder(name: str, revision: str | None = None, progress: downloads.Progress | None = None) -> Path:
    """Where the files of checkpoint ``name`` lie, downloaded if need be; ValueError if there is no such thing.

    In public mode a folder is no name, and the Hub's checkpoints that are not ``listed`` must be small.
    While they are downloaded, ``progress`` gets the bytes that are here and those that there are, as far as known.
    """
    if path := _local(name):
        return path
    name = next((full for full in listed() if full.endswith(f"/{name}")), name)
    if name.count("/") != 1:
        known = f"one of {', '.join(bundled())}, " if bundled() else ""
        other = "" if access.is_public() else "a folder "
        raise ValueError(f"checkpoint: expected {known}{other}or owner/name on the Hub, got {name[:80]!r}")
    if access.is_public() and name not in listed():
        return downloads.download_for_visitors(name, progress)
    return downloads.cached(name, revision) or downloads.download(name, revision, progress)


def _local(name: str) -> Path | None:
    if access.is_public():
        return BUNDLED / name if name in bundled() else None
    for path in (BUNDLED / name, Path(name)):
        if name and os.path.exists(path / checkpoint.CONFIG):  # false, too, for a name too long for a file
            return path
    return None
