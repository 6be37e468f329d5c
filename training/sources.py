"""Where labelled pictures come from: class folders, parquet files, the Hugging Face Hub."""

from __future__ import annotations

import json
import os
from bisect import bisect
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
SPLIT_NAMES = {"test": ("test", "valid", "validation")}
"""Other names of a split; the first that a data set has counts."""
MEMORY = 2e9
"""Bytes of a parquet data set from which on it is read from disk as it is needed, by the library datasets."""


class Source(Protocol):
    """Labelled pictures by number, as encoded files; ``classes`` is None where the data set does not name them."""

    classes: list[str] | None
    labels: Tensor

    def name(self, index: int) -> str: ...

    def read(self, index: int) -> bytes: ...


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


def read_shards(shards: list[Path]) -> Source:
    """The pictures of parquet files in the Hub's image schema.

    ValueError for files without an image and a label column, unless there are two image columns: two domains.
    """
    schema = pq.read_schema(shards[0])
    features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    images = [name for name, kind in features.items() if kind.get("_type") == "Image"]
    if len(images) == 2:
        return Domains(shards, images)
    image = images[0] if images else next((name for name in ("img", "image") if name in schema.names), None)
    label = next((name for name, kind in features.items() if kind.get("_type") == "ClassLabel"), "label")
    if image is None or label not in schema.names:
        raise ValueError(f"data: expected an image and a label column in {shards[0].name}, got {schema.names}")
    return Shards(shards, image, label, features.get(label, {}).get("names"))


def read_folders(root: Path, split: str) -> Source:
    """The files ``split/class/picture``, or of two domains ``splitA/picture`` and ``splitB/picture``."""
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
    return Folders(root, folders)


class Folders:
    """A folder of files for each class."""

    def __init__(self, root: Path, folders: dict[str, Path]):
        self.root, self.classes = root, list(folders)
        # Arrow's strings take a tenth of Python's memory, and worker processes share them.
        parts = [pa.array(_pictures(root, folder), pa.string()) for folder in folders.values()]
        counts = torch.tensor([len(part) for part in parts], dtype=torch.long)
        self.paths = pa.chunked_array(parts, pa.string())
        self.labels = torch.arange(len(parts)).repeat_interleave(counts)

    def name(self, index: int) -> str:
        return self.paths[index].as_py()

    def read(self, index: int) -> bytes:
        return (self.root / self.name(index)).read_bytes()


class Shards:
    """Parquet files with a column of pictures and one of labels."""

    def __init__(self, shards: list[Path], image: str, label: str, classes: list[str] | None):
        self.classes, self.image = classes, image
        self.shards, self.ends = shards, list(accumulate(pq.ParquetFile(shard).metadata.num_rows for shard in shards))
        if sum(shard.stat().st_size for shard in shards) > MEMORY:
            self.rows = _on_disk(shards, image)
            self.labels = torch.tensor(self.rows[label][:])
        else:
            self.rows = pa.concat_tables([pq.read_table(shard, columns=[image, label]) for shard in shards])
            self.labels = torch.tensor(self.rows[label].to_pylist())

    def name(self, index: int) -> str:
        number = bisect(self.ends, index)
        return f"{self.shards[number].name}[{index - (self.ends[number - 1] if number else 0)}]"

    def read(self, index: int) -> bytes:
        if isinstance(self.rows, pa.Table):
            return self.rows[self.image][index].as_py()["bytes"]
        return self.rows[index][self.image]["bytes"]


class Domains:
    """Parquet files with two columns of pictures; the shorter domain's are repeated there, and each is taken once."""

    def __init__(self, shards: list[Path], images: list[str]):
        self.classes = [name.removeprefix("image") or name for name in images]
        known: dict[tuple[int, bytes], str] = {}
        for shard in shards:
            for index, row in enumerate(pq.read_table(shard, columns=images).to_pylist()):
                for label, name in enumerate(images):
                    if data := (row[name] or {}).get("bytes"):
                        known.setdefault((label, data), f"{shard.name}[{index}].{name}")
        self.rows = list(known.items())
        self.labels = torch.tensor([label for label, _ in known])

    def name(self, index: int) -> str:
        return self.rows[index][1]

    def read(self, index: int) -> bytes:
        return self.rows[index][0][1]


def _pictures(root: Path, folder: Path) -> list[str]:
    """The pictures in ``folder`` in order, as paths relative to ``root``."""
    place = folder.relative_to(root).as_posix()
    names = sorted(entry.name for entry in os.scandir(folder))
    return [f"{place}/{name}" for name in names if Path(name).suffix.lower() in PICTURE_SUFFIXES]


def _on_disk(shards: list[Path], image: str):
    """The rows of large parquet files, mapped into memory from an Arrow copy in the library's cache."""
    try:
        import datasets
    except ImportError:
        raise ValueError(
            "data: expected the library datasets for parquet files of this size, run pip install datasets"
        ) from None
    rows = datasets.Dataset.from_parquet([str(shard) for shard in shards])
    return rows.cast_column(image, datasets.Image(decode=False))
