"""A task, a start and a measure are one file each: put into a copy of the project, they turn up everywhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOYS = {"toy_task.py": "synth/tasks", "toy_start.py": "synth/starts", "toy_measure.py": "training/evaluation"}


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> dict:
    """What tests/extending/program.py prints in a copy of the project with the three files."""
    copy = tmp_path_factory.mktemp("copy")
    for package in ("synth", "training"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "checkpoints").symlink_to(ROOT / "checkpoints")
    (copy / "docs").symlink_to(ROOT / "docs")
    for toy, package in TOYS.items():
        shutil.copy(ROOT / "tests/extending" / toy, copy / package)
    shutil.copy(ROOT / "tests/extending/program.py", copy)
    command = [sys.executable, "program.py", str(tmp_path_factory.mktemp("output"))]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_task_is_one_file(extended):
    assert extended["statuses"][0] == 0, "the command line"
    assert extended["tasks"][-1] == "darkening", "Python"
    assert "Darken" in extended["tabs"] and "/darkening" in extended["endpoints"]


def test_a_start_is_one_file(extended):
    assert extended["statuses"][1] == 0, "the command line"
    assert ["dim", "dim"] in extended["starts"], "the page"


def test_a_measure_is_one_file(extended):
    assert "brightness" in extended["evaluation_help"], "the command line"
    assert "The test pictures have a mean of 0.25." in extended["card"]
