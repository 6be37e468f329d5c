"""Toy data sets, and the ways to start other processes, that several test files share."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
LAUNCH = "accelerate.commands.launch --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"


def write_pictures(root: Path, draw: Callable[[np.random.Generator, int], np.ndarray], **counts: int) -> Path:
    """A data set of the classes dark and light: ``counts`` pictures each of a split, by ``draw(random, label)``."""
    random = np.random.default_rng(0)
    for split, count in counts.items():
        for label, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                levels = draw(random, label).clip(0, 255).astype(np.uint8)
                Image.fromarray(levels).save(root / split / name / f"{index}.png")
    return root


def noise(random: np.random.Generator, label: int) -> np.ndarray:
    """Noise around a level of grey."""
    return random.normal(70 + 110 * label, 25, (32, 32, 3))


def square(random: np.random.Generator, label: int) -> np.ndarray:
    """A dark or a light square somewhere on grey."""
    picture = random.normal(128, 5, (32, 32, 3))
    top, left = random.integers(0, 20, 2)
    picture[top : top + 12, left : left + 12] = (30, 220)[label]
    return picture


def same_weights(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def wait_for(condition: Callable[[], object], seconds: float = 90) -> None:
    """Return once ``condition()`` is true; TimeoutError if it is not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{condition} is still false after {seconds} s")
        time.sleep(0.05)


def run_module(*command: str) -> None:
    """``python -m COMMAND``, which must succeed."""
    process = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stderr[-2000:]


def launch(module: str, *arguments: str) -> None:
    """``accelerate launch -m MODULE ARGUMENTS`` on two processes."""
    run_module(*LAUNCH.split(), "--multi_gpu", "--main_process_port", "0", "-m", module, *arguments)


def fork(function: str, *arguments: str) -> None:
    """``function`` ("module:name") on two processes that share their imports, much quicker than ``launch``."""
    run_module("tests.fork", function, *arguments)
