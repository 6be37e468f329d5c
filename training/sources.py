"""Where labelled pictures come from: class folders, parquet files, the Hugging Face Hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
SPLIT_NAMES = {"test": ("test", "valid", "validation")}
"""Other names of a split; the first that a data set has counts."""
Rows = Iterator[tuple[str, bytes, int]]
"""Of each picture its name, its encoded file, and its label."""


def locate(source: str | Path) -> Path:
    """The folder ``source``, or where the Hub's data set of that name has been downloaded to."""
    if Path(source).is_dir():
        return Path(source)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(snapshot_download(str(source), repo_type="dataset", allow_patterns=["*.parquet"]))
    except HFValidationError:
        raise ValueError(f"data: expected a folder or a Hub data set, got {str(source)!r}") from None
    except OSError as error:  # the Hub client's errors are OSErrors
        message = f"data: expected a folder or a reachable Hub data set, got {str(source)!r} ({error})"
        raise ValueError(message) from error


def find_shards(root: Path, split: str) -> list[Path]:
    """The parquet files of a split in order, anywhere below ``root``."""
    for name in SPLIT_NAMES.get(split, (split,)):
        if shards := sorted(root.rglob(f"{name}-*.parquet")):
            return shards
    return []


def read_shards(shards: list[Path]) -> tuple[Rows, list[str] | None]:
    """Rows of parquet files in the Hub's image schema, and the names of the classes if the files hold them.

    ValueError for files without an image and a label column, unless there are two image columns: two domains.
    """
    schema = pq.read_schema(shards[0])
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    images = [name for name, kind in features.items() if kind.get("_type") == "Image"]
    if len(images) == 2:
        return _domain_rows(shards, images), [name.removeprefix("image") or name for name in images]
    image = images[0] if images else next((name for name in ("img", "image") if name in schema.names), None)
    label = next((name for name, kind in features.items() if kind.get("_type") == "ClassLabel"), "label")
    if image is None or label not in schema.names:
        raise ValueError(f"data: expected an image and a label column in {shards[0].name}, got {schema.names}")
    return _labelled_rows(shards, image, label), features.get(label, {}).get("names")


def read_folders(root: Path, split: str) -> tuple[Rows, list[str]]:
    """Rows of ``split/class/picture``, or of two domains ``splitA/picture`` and ``splitB/picture``, and class names."""
    folder = next((root / name for name in (split, "val", "valid") if (root / name).is_dir()), None)
    domains = {name: root / f"{split}{name}" for name in "AB"}
    if folder is not None:
        folders = {entry.name: entry for entry in sorted(folder.iterdir()) if entry.is_dir()}
    elif all(path.is_dir() for path in domains.values()):
        folders = domains
    else:
        raise ValueError(
            f"data: expected {split}-*.parquet files, a folder {split!r}, or folders {split}A and {split}B in {root}"
        )
    return _folder_rows(root, folders), list(folders)


def _labelled_rows(shards: list[Path], image: str, label: str) -> Rows:
    for shard in shards:
        for index, row in enumerate(pq.read_table(shard, columns=[image, label]).to_pylist()):
            yield f"{shard.name}[{index}]", row[image]["bytes"], row[label]


def _domain_rows(shards: list[Path], images: list[str]) -> Rows:
    """Pictures of two columns; the shorter domain's are repeated there, and each is taken once."""
    known: set[tuple[int, bytes]] = set()
    for shard in shards:
        for index, row in enumerate(pq.read_table(shard, columns=images).to_pylist()):
            for label, name in enumerate(images):
                data = (row[name] or {}).get("bytes")
                if data and (label, data) not in known:
                    known.add((label, data))
                    yield f"{shard.name}[{index}].{name}", data, label


def _folder_rows(root: Path, folders: dict[str, Path]) -> Rows:
    for label, folder in enumerate(folders.values()):
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() in PICTURE_SUFFIXES:
                yield str(path.relative_to(root)), path.read_bytes(), label
