"""Downloads from the Hugging Face Hub: the owner's without bounds, those that strangers ask for within some."""

from __future__ import annotations

import errno
import io
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.constants import HF_HOME
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects
from tqdm.auto import tqdm

from synth import access, checkpoint
from synth.sizes import PICTURES

Progress = Callable[[int, int], object]

VISITORS = Path(HF_HOME) / "synth-visitors"
"""Where checkpoints that strangers named lie: a cache apart from the owner's, which may hold private ones."""
LARGEST = 512 * 2**20
"""Bytes of a checkpoint that a stranger may name."""
SHARE = 4 * 2**30
"""Bytes of the disk that all of them together may take; those that were not used for longest leave."""
MOST_FILES = PICTURES + 16
SECONDS = 10
"""That the Hub has to say what a repository holds."""
_pinned: dict[str, str] = {}
"""The revision of each that was found first, which this process keeps to."""
_one_at_a_time = threading.Lock()


def cached(name: str, revision: str | None) -> Path | None:
    """Where the owner's cache has the whole checkpoint ``name``, None if it does not."""
    return _whole(name, revision=revision)


def download(name: str, revision: str | None, progress: Progress | None = None, force: bool = False) -> Path:
    """Download the checkpoint ``name``, whatever its size; ValueError, one sentence, if that fails."""
    with plain_errors(name[:80], revision):
        return _snapshot(name, progress, revision=revision, force_download=force)


def download_for_visitors(name: str, progress: Progress | None = None) -> Path:
    """The checkpoint ``name`` of the Hub, for somebody who is not to be trusted.

    It is asked for without the owner's token, and the Hub says how large it is before the first byte is fetched. What
    it listed is what is fetched: the revision is pinned. ValueError, one sentence, for what does not fit.
    """
    place = {"cache_dir": VISITORS, "token": False}
    with plain_errors(name[:80], None):
        path = _whole(name, revision=_pinned[name], **place) if name in _pinned else None
        if path is None:
            with _one_at_a_time:
                revision, size = _ask(name)
                _make_room(size)
                path = _snapshot(name, progress, revision=revision, **place)
                _pinned[name] = revision
        os.utime(path.parents[1])
    return path


def _ask(name: str) -> tuple[str, int]:
    """The revision and the bytes of a checkpoint on the Hub; ValueError for one that is too large or incomplete."""
    info = HfApi(token=False).model_info(name, revision=_pinned.get(name), files_metadata=True, timeout=SECONDS)
    files = list(filter_repo_objects(info.siblings or [], allow_patterns=checkpoint.DOWNLOADED, key=_file_name))
    absent = {file.name for file in checkpoint.FILES if file.required} - set(map(_file_name, files))
    if absent:
        raise ValueError(f"checkpoint: expected a repository with {', '.join(sorted(absent))}, got {name[:80]!r}")
    if len(files) > MOST_FILES:
        raise ValueError(f"checkpoint: expected at most {MOST_FILES} files, got {name[:80]!r} with {len(files):,}")
    size = sum(LARGEST + 1 if file.size is None else file.size for file in files)
    if size > LARGEST or info.sha is None:
        raise ValueError(
            f"checkpoint: expected at most {LARGEST >> 20} MB, got {name[:80]!r} with {size / 2**20:,.0f} MB"
        )
    return info.sha, size


def _file_name(file) -> str:
    return file.rfilename


def _make_room(size: int) -> None:
    """Delete those checkpoints of VISITORS that were not used for longest, until ``size`` bytes more fit into SHARE."""
    folders = sorted(VISITORS.glob("models--*"), key=lambda folder: folder.stat().st_mtime)
    sizes = {folder: sum(path.lstat().st_size for path in folder.rglob("*")) for folder in folders}
    taken = sum(sizes.values())
    for folder in folders:
        if taken + size <= SHARE:
            break
        shutil.rmtree(folder, ignore_errors=True)
        taken -= sizes[folder]


def _whole(name: str, **place) -> Path | None:
    try:
        path = Path(snapshot_download(name, allow_patterns=checkpoint.DOWNLOADED, local_files_only=True, **place))
    except (HFValidationError, LocalEntryNotFoundError, OSError):
        return None
    return path if is_complete(path) else None


def _snapshot(name: str, progress: Progress | None, **how) -> Path:
    bar = _silent_bar(progress) if progress is not None else None
    return Path(snapshot_download(name, allow_patterns=checkpoint.DOWNLOADED, tqdm_class=bar, dry_run=False, **how))


@contextmanager
def plain_errors(name: str, revision: str | None) -> Iterator[None]:
    """Errors of the Hub's client in one sentence each."""
    try:
        yield
    except HFValidationError as error:
        raise ValueError(f"checkpoint: expected owner/name on the Hub, got {name!r} ({_first_line(error)})") from None
    except RevisionNotFoundError:
        raise ValueError(f"revision: expected one of {name}, got {str(revision)[:80]!r}") from None
    except RepositoryNotFoundError:
        reader = "that everybody" if access.is_public() else "that your token"
        raise ValueError(
            f"checkpoint: expected a Hub repository that exists and {reader} may read, got {name!r}"
        ) from None
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, httpx2.HTTPError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ValueError(f"downloading {name} failed: no space is left on the disk") from None
        reason = "" if access.is_public() else f" ({_first_line(error)[:300]})"
        raise ValueError(f"checkpoint: expected a reachable Hub repository, got {name!r}{reason}") from None


def is_complete(path: Path) -> bool:
    """Whether all files of the checkpoint in this folder are there."""
    try:
        return not checkpoint.missing(path)
    except ValueError:  # its seal cannot be read
        return False


def _silent_bar(progress: Progress) -> type:
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
