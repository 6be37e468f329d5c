"""A task's run by step.onnx instead of PyTorch, with the same random numbers: what exports are tested with."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from synth import checkpoint
from synth.classifier import Classifier
from synth.constraints import softened
from synth.objectives import random_part
from synth.pgd import cosine
from synth.randomness import Generators, draw
from synth.tasks import TASKS
from synth.tasks.translation import loud
from training.export.graphs import OUTPUTS


class Exported:
    """step.onnx of the export in ``folder``/onnx, in ONNX Runtime."""

    def __init__(self, folder: str | Path, threads: int = 1):
        import onnxruntime

        options, folder = onnxruntime.SessionOptions(), Path(folder) / checkpoint.ONNX
        options.intra_op_num_threads = threads
        self.about = json.loads((folder / "browser.json").read_text())
        self.session = onnxruntime.InferenceSession(folder / "step.onnx", options, ["CPUExecutionProvider"])

    def step(self, count: int, **known) -> tuple[np.ndarray, ...]:
        """The OUTPUTS for ``count`` pictures: inputs ``known``; the others have no effect."""
        inputs = self.about["step"]["inputs"]
        shapes = {name: [count if size == "N" else size for size in shape] for name, shape in inputs.items()}
        values = dict.fromkeys(shapes, 0) | {"inside": 1, "factor": 1} | known
        assert values.keys() == shapes.keys()
        given = {name: np.broadcast_to(value, shapes[name]).astype(np.float32) for name, value in values.items()}
        return self.session.run(list(OUTPUTS), given)


class Replay:
    """The run ``TASKS[name].frames(model, **settings)``, to be taken step by step by ``exported``."""

    def __init__(self, exported: Exported, model: Classifier, name: str, **settings):
        task, self.exported = TASKS[name], exported
        self.p = p = SimpleNamespace(**task.check(model, **settings))
        generators = Generators(p.seed)
        problem: Any = task.problem(model.engine(), p, generators)  # type: ignore[attr-defined]
        start = problem.start
        self.start, count = start.numpy(), len(start)
        self.views = [random_view(start, p, generators) for _ in range(p.steps + 1)][1:]  # the first: the start's loss
        self.size = cosine(p.step_size) if p.schedule == "cosine" else lambda *_: p.step_size
        self.known: dict[str, Any] = {"center": self.start, "epsilon": p.epsilon, "smoothing": p.smoothing}
        if name == "painting":
            self.known["feature_weights"] = _rows(count, model.head.in_features, p.feature, -p.strength)
        else:
            self.known |= self._of_class(model, name)
        if "outside" in vars(p):
            mask = task.default_mask(p.picture, Generators(p.seed)) if p.mask is None else p.mask
            held = {"inside": softened(mask)} if p.outside == "exact" else {"change_weights": p.lam * (1 - mask)}
            self.known |= held
        if vars(p).get("focus"):
            lengths = self.exported.step(count, pictures=self.start, center=self.start)[2]
            looked_at = loud(torch.from_numpy(lengths), start.shape[2:]).numpy()
            self.known["inside"] = 1 - p.focus * (1 - looked_at)
        if vars(p).get("consistency") == "hard":
            low = np.kron(p.picture, np.ones((p.factor, p.factor)))
            self.known |= {"low": low, "factor": np.array(p.factor)}

    def _of_class(self, model: Classifier, name: str) -> dict[str, np.ndarray]:
        count, classes, label = len(self.start), len(model.classes), self.p.class_name
        if label is None and name not in ("generation", "maximisation"):
            label = self.exported.step(count, pictures=self.start, center=self.start)[1].argmax(1)
        labels = np.resize(np.arange(classes) if label is None else label, count)
        if self.p.objective == "logit":
            return {"logit_weights": _rows(count, classes, labels, -1)}
        return {"entropy_weights": _rows(count, classes, labels, 1)}

    def step(self, index: int, pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The pictures after step ``index`` (from 0) from ``pictures``, and the loss of these."""
        own = {"pictures": pictures, "step_size": self.size(index, self.p.steps)} | self.views[index]
        after, _, _, loss = self.exported.step(len(pictures), **self.known, **own)
        return after, loss

    def states(self) -> Iterator[np.ndarray]:
        """The pictures after each step."""
        pictures, detail = self.start, vars(self.p).get("detail", 1)
        for index in range(self.p.steps):
            pictures, _ = self.step(index, pictures)
            yield self.start + detail * (pictures - self.start)

    def run(self) -> np.ndarray:
        """The pictures after all steps."""
        return deque(self.states(), maxlen=1).pop()


def random_view(x: Tensor, p: SimpleNamespace, generators: Generators) -> dict[str, Tensor]:
    """What the model sees of pictures ``x`` at one step: the inputs "part" and "shift", drawn as a task does."""
    view = {}
    if p.crop:
        view["part"] = random_part(x, p.crop, generators) - torch.tensor([1, 0])
    if p.jitter:
        shift = draw(x[:, 0, 0, :2], generators, torch.rand)
        view["shift"] = (shift * (2 * p.jitter + 1)).long() - p.jitter
    return view


def _rows(count: int, size: int, indices, value: float) -> np.ndarray:
    """Rows (count, size) with ``value`` at each of ``indices``."""
    matrix = np.zeros((count, size))
    matrix[np.arange(count), indices] = value
    return matrix
