"""Labelled pictures: ``load`` reads a data set, ``python -m training.data`` writes two classes as domains."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from synth.classifier import Classifier
from training.sources import find_shards, locate, read_folders, read_shards
from training.stored import Stored

IN_MEMORY = 2e9
"""Bytes of decoded pictures that are kept in memory; of a larger data set they are decoded as they are needed."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """uint8 pictures (N, 3, S, S), labels (N,) into ``classes``; ``skipped`` names what could not be decoded.

    pictures: in memory, or on disk, which looks the same but takes longer.
    groups: {superclass: [classes]}, empty where the data set names none.
    """

    pictures: Tensor | Stored
    labels: Tensor
    classes: list[str]
    skipped: list[str]
    groups: dict[str, list[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Tensor | slice) -> tuple[Tensor, Tensor]:
        """Pictures as float in [0, 1] and labels."""
        return self.pictures[index].float() / 255, self.labels[index]

    def __getitems__(self, indices: list[int]) -> tuple[Tensor, Tensor]:
        """What a DataLoader takes: uint8 pictures and labels."""
        return self.pictures[torch.tensor(indices)], self.labels[indices]

    @property
    def in_memory(self) -> bool:
        return isinstance(self.pictures, Tensor)

    def subset(self, index: Tensor) -> Pictures:
        pictures = self.pictures[index] if isinstance(self.pictures, Tensor) else self.pictures.subset(index)
        return replace(self, pictures=pictures, labels=self.labels[index], skipped=[])

    def at(self, side: int) -> Pictures:
        """The same pictures at another ``side`` in pixels."""
        if self.pictures.shape[-1] == side:
            return self
        if isinstance(self.pictures, Stored):
            return replace(self, pictures=self.pictures.at(side))
        resize = partial(F.interpolate, size=(side, side), mode="bicubic", antialias=True)
        parts = [resize(part.float()).round().clamp(0, 255).byte() for part in self.pictures.split(500)]
        return replace(self, pictures=torch.cat(parts))

    def only(self, names: list[str]) -> Pictures:
        """The pictures of the classes, or superclasses, ``names``; ValueError for one that the data lacks."""
        names = [member for name in names for member in self.groups.get(name, [name])]
        unknown = [name for name in names if name not in self.classes]
        if unknown:
            raise ValueError(f"only: expected classes of the data, {_some(self.classes)}, got {unknown[0]}")
        labels = torch.tensor([self.classes.index(name) for name in names])
        return replace(self.subset(torch.isin(self.labels, labels).nonzero().squeeze(1)), classes=names)


def load(source: str | Path, split: str, image_size: int, subset: str = "") -> Pictures:
    """The ``split`` ("train" or "test") of a folder, or of a Hub data set "owner/name".

    A folder holds parquet shards ``split-*.parquet`` in the Hub's image schema, ``split/class/picture`` files, or two
    domains as ``splitA/picture`` and ``splitB/picture``; perhaps also ``classes.json``, {"names": {class: readable
    name}, "superclasses": {name: [classes]}}. Shards may hold two domains as two image columns without a label.
    subset: a file like ``classes.json`` beside this one, "" for none; of a data set that has all its classes, only
    these are kept.
    Pictures of another size are resized. ValueError for an unknown source, no pictures, or a class without any.
    """
    root = locate(source)
    shards = find_shards(root, split)
    rows = read_shards(shards) if shards else read_folders(root, split)
    names_file = Path(__file__).with_name(subset) if subset else root / "classes.json"
    kept = set(json.loads(names_file.read_text())["names"]) if subset else set()
    if not kept <= set(rows.classes or []):
        names_file, kept = root / "classes.json", set()
    chosen = torch.ones(len(rows.labels), dtype=torch.bool)
    if kept:
        chosen = torch.tensor([name in kept for name in rows.classes])[rows.labels]
    pictures: Tensor | Stored = Stored(rows, chosen.nonzero().squeeze(1), image_size)
    skipped: list[str] = []
    if len(pictures) * 3 * image_size**2 <= IN_MEMORY:
        indices, pictures, skipped = _decode(pictures)
    else:
        indices = pictures.indices
    if not len(indices):
        raise ValueError(f"data: expected pictures of split {split!r} in {source}, got none that can be read")
    labels, classes = _only_present(rows.labels[indices], rows.classes, named=not shards and not kept)
    missing = [name for index, name in enumerate(classes) if not (labels == index).any()]
    if missing:
        unread = f" ({len(skipped)} files cannot be read, such as {skipped[0]})" if skipped else ""
        raise ValueError(f"data: expected pictures of every class in {source}, got none of {_some(missing)}{unread}")
    names, groups = _readable_names(names_file, classes)
    return Pictures(pictures, labels, names, skipped, groups)


def _decode(stored: Stored) -> tuple[Tensor, Tensor, list[str]]:
    """The indices of the pictures that can be read, those pictures in memory, and the names of the others."""
    indices, pictures, skipped = [], [], []
    for index in stored.indices.tolist():
        try:
            pictures.append(stored.decode(index))
            indices.append(index)
        except Exception as error:  # Pillow raises many kinds; whatever it is, the picture is named and skipped
            skipped.append(stored.source.name(index))
            print(f"skipped {skipped[-1]}: {error}", file=sys.stderr)
    return torch.tensor(indices, dtype=torch.long), torch.stack(pictures) if pictures else torch.empty(0), skipped


def of(model: Classifier, split: str, source: str | Path | None = None, side: int = 0) -> Pictures:
    """The ``split`` of the data that ``model`` was trained on, at its size; from ``source`` instead of its own name.

    side: another side than the model's, in pixels.
    """
    recipe = model.info.get("recipe", {})
    return load(source or model.info["data"], split, side or model.image_size, recipe.get("subset", ""))


def hold_out(data: Pictures, config) -> tuple[Pictures, Pictures]:
    """``config.validation`` pictures, at most a tenth, for the validation of each epoch; and the others."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(config.seed))
    count = min(config.validation, len(data) // 10)
    return data.subset(order[:count]), data.subset(order[count:])


def augment(
    pictures: Tensor, generator: torch.Generator, padding: int, part: slice = slice(None), count: int | None = None
) -> Tensor:
    """Random crops after reflect-padding, and mirroring: (N, 3, S, S) float to the same.

    The randomness is that of ``count`` pictures, of which these are the ``part``; by default all.
    """
    count, height, width = count or len(pictures), pictures.shape[2], pictures.shape[3]
    padded = F.pad(pictures, [padding] * 4, mode="reflect")
    shifts = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator)[:, part]
    flip = torch.rand(count, 1, generator=generator)[part] < 0.5
    rows = torch.arange(height) + shifts[0]
    columns = torch.arange(width) + shifts[1]
    columns = torch.where(flip, columns.flip(1), columns).to(pictures.device)
    picture = torch.arange(len(pictures), device=pictures.device)[:, None, None]
    # Indexing puts the channels last; the permuted view is exactly the channels_last layout.
    crops = padded.permute(0, 2, 3, 1)[picture, rows.to(pictures.device)[:, :, None], columns[:, None]]
    return crops.permute(0, 3, 1, 2)


def crop_resized(
    pictures: Tensor, generator: torch.Generator, smallest: float, side: int, part: slice = slice(None), count: int = 0
) -> Tensor:
    """Random crops of at least ``smallest`` of the area, resized, and mirroring: (N, 3, S, S) to (N, 3, side, side).

    Their shapes are from 3:4 to 4:3 (Szegedy et al. 2015). The randomness is that of ``count`` pictures, as above.
    """
    area, shape, x, y, mirror = torch.rand(5, count or len(pictures), generator=generator)[:, part]
    area, shape = smallest + (1 - smallest) * area, (0.75 ** (2 * shape - 1)).sqrt()
    width, height = (area.sqrt() * shape).clamp_max(1), (area.sqrt() / shape).clamp_max(1)
    line = (2 * torch.arange(side) + 1) / side - 1  # pixel centres, from -1 to 1
    columns = torch.where(mirror < 0.5, -1, 1)[:, None] * width[:, None] * line + ((1 - width) * (2 * x - 1))[:, None]
    rows = height[:, None] * line + ((1 - height) * (2 * y - 1))[:, None]
    grid = torch.stack(torch.broadcast_tensors(columns[:, None, :], rows[:, :, None]), dim=-1)
    crops = F.grid_sample(pictures, grid.to(pictures.device), padding_mode="border", align_corners=False)
    return crops.contiguous(memory_format=torch.channels_last)


def mixed(
    pictures: Tensor,
    targets: Tensor,
    generator: torch.Generator,
    chance: float,
    part: slice = slice(None),
    count: int = 0,
) -> tuple[Tensor, Tensor]:
    """CutMix (Yun et al. 2019): with probability ``chance``, a rectangle of a picture is that of its neighbour.

    pictures: (N, 3, S, S), two by two neighbours; targets: (N, K), the probabilities of their classes, which become
    those of the two pictures by the areas that are seen of them. The area of the rectangle is uniform, and so is its
    centre. The randomness is that of ``count`` pictures, as above.
    """
    area, x, y, whether = torch.rand(4, count or len(pictures), 1, generator=generator)[:, part].to(pictures.device)
    half = torch.where(whether < chance, area.sqrt() / 2, 0)
    line = (torch.arange(pictures.shape[-1], device=pictures.device) + 0.5) / pictures.shape[-1]
    columns, rows = (line - x).abs() < half, (line - y).abs() < half
    inside = rows[:, :, None] & columns[:, None, :]
    neighbour = torch.arange(len(pictures), device=pictures.device) ^ 1
    neighbour = neighbour.clamp_max(len(pictures) - 1)  # the last of an odd number stays alone
    covered = inside.float().mean((1, 2))[:, None]
    return (
        torch.where(inside[:, None], pictures[neighbour], pictures),
        (1 - covered) * targets + covered * targets[neighbour],
    )


def _only_present(labels: Tensor, classes: list[str] | None, named: bool) -> tuple[Tensor, list[str]]:
    """Class names for the labels; a parquet subset of a larger data set keeps its own classes only."""
    if named:
        return labels, classes or []
    present = labels.unique().tolist()
    if classes is None:
        classes = [str(index) for index in range(max(present) + 1)]
    if len(present) < len(classes) / 2:  # a subset by design, such as 58 of Tiny-ImageNet's 200 classes
        renumber = torch.full((len(classes),), -1)
        renumber[present] = torch.arange(len(present))
        return renumber[labels], [classes[index] for index in present]
    return labels, classes


def _readable_names(path: Path, classes: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The classes under their readable names, and the superclasses of them, from the file at ``path`` if it exists."""
    if not path.exists():
        return classes, {}
    try:
        content = json.loads(path.read_text())
        names = {name: str(content["names"].get(name, name)) for name in classes}
        superclasses = content.get("superclasses", {}).items()
        groups = {group: [names[member] for member in members if member in names] for group, members in superclasses}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        raise ValueError(f"data: expected readable names of the classes in {path}") from None
    return list(names.values()), {group: members for group, members in groups.items() if members}


def _some(names: list[str]) -> str:
    return ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")


def main(arguments: list[str] | None = None) -> None:
    """Write the pictures of two classes as two domains, the folders trainA, trainB, testA and testB."""
    parser = argparse.ArgumentParser(prog="python -m training.data", description=main.__doc__)
    parser.add_argument("data", help="folder or Hub data set")
    parser.add_argument("--classes", nargs=2, required=True, metavar="NAME", help="names of the two classes")
    parser.add_argument("--size", type=int, default=64, help="side of the pictures in pixels (default 64)")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    try:
        for split in ("train", "test"):
            data = load(options.data, split, options.size)
            for name, domain in zip(options.classes, "AB", strict=True):
                if name not in data.classes:
                    raise ValueError(f"classes: expected classes of {options.data}, got {name!r}")
                folder = options.output / f"{split}{domain}"
                folder.mkdir(parents=True, exist_ok=True)
                for index, picture in enumerate(data.pictures[data.labels == data.classes.index(name)]):
                    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{index:04}.png")
        names = dict(zip("AB", options.classes, strict=True))
        (options.output / "classes.json").write_text(json.dumps({"names": names}) + "\n")
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
