"""Pictures from disk: memory and speed against their number, and the cost of the feed: ``python -m bench.streaming``.

Makes class folders of 224-pixel JPEG files by code (links to 200 different ones) and reads each picture once.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import psutil
import torch
from PIL import Image

from training import loop
from training.data import Pictures, load
from training.tables import table

DIFFERENT = 200
BATCH = 128


def write(folder: Path, count: int, side: int) -> None:
    """``count`` pictures of ten classes below ``folder``."""
    random = torch.Generator().manual_seed(0)
    sources = []
    (folder / "files").mkdir()
    for index in range(DIFFERENT):
        coarse = torch.rand(3, 14, 14, generator=random)
        smooth = torch.nn.functional.interpolate(coarse[None], (side, side), mode="bicubic").clamp(0, 1)[0]
        sources.append(folder / "files" / f"{index}.jpg")
        Image.fromarray((smooth * 255).byte().permute(1, 2, 0).numpy()).save(sources[-1])
    for index in range(count):
        of_class = folder / "train" / str(index % 10)
        of_class.mkdir(parents=True, exist_ok=True)
        os.link(sources[index % DIFFERENT], of_class / f"{index}.jpg")


def read(data: Pictures) -> tuple[float, float, int]:
    """Seconds, peak megabytes of this process and its workers (proportional set size), and pictures read."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
    began, peak, seen = time.monotonic(), 0.0, 0
    for number, (pictures, _) in enumerate(loop.feed(data, list(order.split(BATCH)))):
        seen += len(pictures)
        if number % 50 == 0:
            here = psutil.Process()
            used = sum(process.memory_full_info().pss for process in (here, *here.children(recursive=True)))
            peak = max(peak, used / 1e6)
    return time.monotonic() - began, peak, seen


def feed_cost(count: int = 20_000, side: int = 32) -> tuple[float, float]:
    """Milliseconds for a batch of pictures in memory: by indexing, and from the feed; alternating, the best of five."""
    pictures = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
    data = Pictures(pictures, torch.zeros(count, dtype=torch.long), ["one"], [])
    parts = list(torch.randperm(count).split(BATCH))
    best = [float("inf")] * 2
    for _ in range(5):
        for kind, batches in enumerate(((data[part] for part in parts), loop.feed(data, parts))):
            began = time.monotonic()
            assert sum(len(labels) for _, labels in batches) == count
            best[kind] = min(best[kind], (time.monotonic() - began) / len(parts) * 1000)
    return best[0], best[1]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.streaming", description=__doc__.splitlines()[0])
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 100_000], help="numbers of pictures")
    parser.add_argument("--side", type=int, default=224, help="their side in pixels")
    options = parser.parse_args(arguments)
    rows = []
    for count in options.counts:
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), count, options.side)
            data = load(folder, "train", options.side)
            seconds, peak, seen = read(data)
            place = "memory" if data.in_memory else "disk"
            rows.append([f"{count:,}", place, f"{seen:,}", f"{seen / seconds:.0f}", f"{peak:,.0f}"])
    print(table(["pictures", "kept in", "read", "a second", "peak memory, MB"], rows))
    direct, fed = feed_cost()
    print(f"\nA batch of {BATCH} pictures of 32 pixels in memory: {direct:.2f} ms by indexing, {fed:.2f} ms fed.")


if __name__ == "__main__":
    main()
