"""From nothing to the first picture, with three sources of the checkpoint: ``python -m bench.cold_start``.

The remote one is a Hub-protocol server on this machine (tests/hub_server.py), so its time holds no network.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from synth import hub
from training.tables import table

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "owner/published"


def seconds(checkpoint: str, output: Path, settings: dict) -> float:
    command = [sys.executable, "-m", "synth", "generation", "--checkpoint", checkpoint, "--count", "1", "--class", "0"]
    began = time.monotonic()
    subprocess.run(
        [*command, "--output", str(output)], cwd=ROOT, env=os.environ | settings, check=True, capture_output=True
    )
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.cold_start", description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", default=hub.DEFAULT)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen(
            [sys.executable, "-m", "tests.hub_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as server,
    ):
        folder = Path(name)
        settings = {"HF_ENDPOINT": server.stdout.readline().strip(), "HF_HOME": str(folder / "home")}
        settings |= {"HF_TOKEN": "hf_owner", "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        publish = [sys.executable, "-m", "training.publish", options.checkpoint, "--repo", REPOSITORY]
        subprocess.run(publish, cwd=ROOT, env=os.environ | settings, check=True, capture_output=True)
        times: dict[str, list[float]] = {"bundled": [], "downloaded before": [], "on the Hub": []}
        pictures = set()
        for _ in range(options.repeats):
            shutil.rmtree(folder / "home", ignore_errors=True)
            for kind in ("on the Hub", "downloaded before", "bundled"):
                checkpoint = options.checkpoint if kind == "bundled" else REPOSITORY
                times[kind].append(seconds(checkpoint, folder / "picture.png", settings))
                pictures.add(Image.open(folder / "picture.png").tobytes())
        server.kill()
    rows = [[kind, f"{statistics.median(values):.1f}"] for kind, values in times.items()]
    print(table(["checkpoint", "seconds to the picture, median"], rows))
    print(f"\n{len(pictures)} different pictures")


if __name__ == "__main__":
    main()
