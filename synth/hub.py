"""Where the checkpoint of a name lies: the bundled folder, then any local folder, then the Hugging Face Hub."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from synth import checkpoint
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
        if repository.repo_type == "model" and any(_is_complete(folder) for folder in folders):
            names.append(repository.repo_id)
    return sorted(names)


def load(name: str | Path, *, revision: str | None = None, device: str = "cpu") -> Classifier:
    """The checkpoint called ``name``, in eval mode: a bundled one, a folder, or "owner/name" on the Hub.

    What is damaged in the cache is downloaded once more. ValueError, one sentence, if ``checkpoint.load`` refuses it.
    """
    name = str(name)
    try:
        return checkpoint.load(folder(name, revision), name=name, device=device)
    except checkpoint.Damaged:
        if _local(name):
            raise
        return checkpoint.load(_download(name, revision, force=True), name=name, device=device)


def folder(name: str, revision: str | None = None, progress: Callable[[int, int], object] | None = None) -> Path:
    """Where the files of checkpoint ``name`` lie, downloaded if need be; ValueError if there is no such thing.

    While they are downloaded, ``progress`` gets the bytes that are here and those that there are, as far as known.
    """
    if path := _local(name):
        return path
    name = next((full for full in listed() if full.endswith(f"/{name}")), name)
    if name.count("/") != 1:
        known = f"one of {', '.join(bundled())}, " if bundled() else ""
        raise ValueError(f"checkpoint: expected {known}a folder or owner/name on the Hub, got {name[:80]!r}")
    return _cached_folder(name, revision) or _download(name, revision, progress)


def _local(name: str) -> Path | None:
    for path in (BUNDLED / name, Path(name)):
        if name and os.path.exists(path / checkpoint.CONFIG):  # false, too, for a name too long for a file
            return path
    return None


def _cached_folder(name: str, revision: str | None) -> Path | None:
    try:
        path = Path(
            snapshot_download(name, revision=revision, allow_patterns=checkpoint.DOWNLOADED, local_files_only=True)
        )
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        return None
    return path if _is_complete(path) else None


def _download(
    name: str, revision: str | None, progress: Callable[[int, int], object] | None = None, force: bool = False
) -> Path:
    bar = _silent_bar(progress) if progress is not None else None
    patterns = checkpoint.DOWNLOADED
    with _plain_errors(name[:80], revision):
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=patterns, force_download=force, tqdm_class=bar, dry_run=False
            )
        )


@contextmanager
def _plain_errors(name: str, revision: str | None) -> Iterator[None]:
    """Errors of the Hub's client in one sentence each."""
    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"checkpoint: expected owner/name on the Hub, got {name!r} ({_first_line(error)})") from None
    except RevisionNotFoundError:
        raise ValueError(f"revision: expected one of {name}, got {str(revision)[:80]!r}") from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"checkpoint: expected a Hub repository that exists and that your token may read, got {name!r}"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, httpx2.HTTPError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ValueError(f"downloading {name} failed: no space is left on the disk") from None
        reason = _first_line(error)[:300]
        raise ValueError(f"checkpoint: expected a reachable Hub repository, got {name!r} ({reason})") from None


def _is_complete(path: Path) -> bool:
    try:
        return not checkpoint.missing(path)
    except ValueError:  # its seal cannot be read
        return False


def _silent_bar(progress: Callable[[int, int], object]) -> type:
    """A progress bar that shows nothing and passes bytes to ``progress``."""

    class SilentBar(tqdm):
        def __init__(self, *arguments, name: str | None = None, **more):
            super().__init__(*arguments, **more | {"disable": False, "file": io.StringIO()})

        def display(self, *_, **__):
            if self.unit == "B" and self.total:
                progress(int(self.n), int(self.total))

    return SilentBar


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
