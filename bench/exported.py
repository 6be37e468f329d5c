"""A step of an exported checkpoint in ONNX Runtime against PyTorch's, on one thread: ``python -m bench.exported``.

Both take the tuned settings of generation, one step in turn. Then the whole of examples/without_pytorch.py beside the
same pictures of ``python -m synth``, each in a process of its own.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from synth import TASKS, hub
from synth.classifier import Classifier
from synth.constraints import L2
from synth.pgd import iterate
from synth.randomness import Generators
from training.export import export
from training.tables import table

NAMES = ("tiny64-resnet18-slim-l2", "cifar10-resnet18-slim-l2")
BATCHES = (1, 4)
ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "without_pytorch.py"


def compare(model: Classifier, folder: Path, batch: int, rounds: int) -> tuple[float, float]:
    """Milliseconds of the fastest step of ``batch`` pictures: ours, ONNX Runtime's."""
    import onnxruntime

    task, engine, generators = TASKS["generation"], model.engine(), Generators(0)
    p = SimpleNamespace(**task.check(model, class_name=0, count=batch))
    problem = task.problem(engine, p, generators)
    ours = iterate(problem.loss, problem.start, L2(p.epsilon), steps=rounds, step_size=p.step_size)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(folder / "onnx" / "step.onnx", options, ["CPUExecutionProvider"])
    size, classes, features = model.image_size, len(model.classes), model.head.in_features
    given = {
        "pictures": problem.start.numpy(), "center": problem.start.numpy(), "low": problem.start.numpy(),
        "logit_weights": np.eye(classes, dtype=np.float32)[[0] * batch] * -1,
        "entropy_weights": np.zeros((batch, classes)), "feature_weights": np.zeros((batch, features)),
        "change_weights": np.zeros((batch, 1, size, size)), "inside": np.ones((batch, 1, size, size)),
        "shift": np.ones((batch, 2)), "factor": np.array(1),
    }  # fmt: skip
    given |= {name: np.full(batch, getattr(p, name)) for name in ("smoothing", "epsilon", "step_size")}
    given = {name: value.astype(np.float32) for name, value in given.items()}

    def theirs() -> None:
        given["pictures"] = session.run(None, given)[0]

    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        for name, step in (("ours", lambda: next(ours)), ("theirs", theirs)):
            began = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - began))
    return min(times["ours"]), min(times["theirs"])


MEASURE = """
import resource, subprocess, sys, time
began = time.monotonic()
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000)
"""
"""What runs a command from a small process: a child's peak begins with its parent's memory."""


def cost(command: list[str]) -> list[str]:
    """Seconds of the fastest of three Python processes on one thread, and their peak memory in MB."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    run = partial(subprocess.run, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)
    printed = [run([sys.executable, "-c", MEASURE, *command]).stdout.split() for _ in range(3)]
    seconds, memory = zip(*printed, strict=True)
    return [f"{min(map(float, seconds)):.1f}", f"{max(map(float, memory)):.0f}"]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.exported", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=100, help="steps of each row, of which the fastest counts")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    rows, costs = [], []
    with tempfile.TemporaryDirectory() as temporary:
        for name in NAMES:
            model, folder = hub.load(name), Path(temporary) / name
            export(model, folder)
            for batch in BATCHES:
                ours, theirs = compare(model, folder, batch, options.rounds)
                ratio = f"{theirs / ours:.2f}"
                rows.append([name, str(model.image_size), str(batch), f"{ours:.1f}", f"{theirs:.1f}", ratio])
            label = model.classes[0]
            example = [str(EXAMPLE), str(folder / "onnx"), "--class", label, "--count", "4", "--output"]
            example.append(str(folder / "onnxruntime.png"))
            whole = ["-m", "synth", "generation", "--checkpoint", name, "--class", label, "--count", "4"]
            whole += ["--output", str(folder / "pytorch.png")]
            for kind, command in (("PyTorch", whole), ("ONNX Runtime", example)):
                costs.append([name, kind, *cost(command)])
    print(table(["checkpoint", "pixels", "batch", "ours, ms", "ONNX Runtime, ms", "ratio"], rows), end="\n\n")
    print(table(["checkpoint", "four pictures with", "s", "peak MB"], costs))


if __name__ == "__main__":
    main()
