"""The app on ZeroGPU, as far as that goes without such a Space: see ``tests/zero_gpu.py``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import version
from threading import current_thread

import pytest

from synth import TASKS
from synth.web import gpu
from synth.web.gpu import identity, run_on_worker
from tests.hub_client import ROOT
from training.space import ZERO_PACKAGE


def test_every_task_runs_in_a_process_that_is_forked_for_it(checkpoints, tmp_path):
    pytest.importorskip("spaces")
    shutil.copytree(checkpoints, tmp_path / "checkpoints")
    command = [sys.executable, "-m", "tests.zero_gpu", str(tmp_path)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    result = json.loads(run.stdout)
    assert result["tasks"] == {name: {"done": True, "same": True} for name in TASKS}
    assert result["refused"] == "steps: expected 1 to 1000, got 0"
    assert result["processes"] >= 1 and result["lent"] == len(TASKS) + 1 and result["threads"] == []


def test_elsewhere_the_decorated_entry_is_what_it_was(monkeypatch):
    def frames():
        yield 1

    assert gpu.borrow_gpu(frames) is frames and identity(frames) is frames
    assert not gpu.ZERO and gpu.resting_device() == gpu.working_device()
    monkeypatch.setattr(gpu.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "ZERO", True)
    assert gpu.resting_device() == "cpu" and gpu.working_device() == "cuda"


def test_one_thread_uses_the_models():
    assert run_on_worker(current_thread) is run_on_worker(current_thread) is not current_thread()


def test_the_space_gets_the_package_that_is_tested_here():
    pytest.importorskip("spaces")
    assert f"spaces=={version('spaces')}" == ZERO_PACKAGE
