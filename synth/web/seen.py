"""What the model sees in a result, in a sentence."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from synth import TASKS
from synth.parameters import ClassName, FeatureIndex
from synth.tasks.synthesis import Synthesis
from synth.web.checkpoints import load
from synth.web.features import described
from synth.web.gpu import run_on_worker
from synth.web.run import Run

SEEN = 0.4
"""The probability from which a class was seen before without doubt."""
SURE = 0.6
"""Below this probability, the first class is only the one most like it."""


def what_is_seen(run: Run) -> str:
    """A sentence on the classes that the model sees in the result, and in what it came from."""
    frame, settings = run.frame, run.frame.settings
    task, asked = TASKS[frame.record.task], settings.get("class_name")
    if not isinstance(task, Synthesis):
        return ""
    model = load(frame.record.checkpoint)

    def probabilities(x: Tensor) -> Tensor:
        if settings.get("extent") == "whole":  # at the size that the model knows
            scale = model.image_size / min(x.shape[2:])
            x = F.interpolate(x, scale_factor=scale, mode="bilinear", antialias=True)
        with torch.no_grad():
            return model.engine()(x.to(model.device)).softmax(1).cpu()

    after = run_on_worker(probabilities, frame.pictures)
    if len(after) > 1:
        wanted: list = list(run.rows) or [asked] * len(after)
        if not set(wanted) <= set(model.classes):
            return ""
        right = sum(model.classes[top] == name for top, name in zip(after.argmax(1).tolist(), wanted, strict=True))
        named = wanted[0] if len(set(wanted)) == 1 else "the class that was asked for"
        return f"The model sees {named} in {right} of {len(after)}."
    words = f"The model now sees: {top(model, after[0])}"
    if "picture" not in settings:
        return f"{words}."
    before = run_on_worker(probabilities, frame.start)[0]
    kind = task.parameters.get("class_name")
    assumed = ""
    if isinstance(kind, ClassName) and asked is None and settings.get("extent") != "whole":
        first = model.classes[int(before.argmax())]
        if before.max() < SURE:
            return f"No class was chosen, so it took the nearest, {first} ({before.max():.0%})."
        assumed = f" No class was chosen, so it took {first}."
    if isinstance(task.parameters.get("feature"), FeatureIndex):
        assumed = f" Painted: {described(model, settings['feature'])}."
    if after[0].argmax() == before.argmax() and after[0].max() <= before.max():
        return f"The model still sees: {top(model, after[0])}.{assumed}"
    was = top(model, before) if before.max() >= SEEN else f"no clear answer, best guess {top(model, before)}"
    return f"{words} (before: {was}).{assumed}"


def top(model, probabilities: Tensor) -> str:
    """The class of the highest of ``probabilities`` (classes,), and how high it is."""
    value, index = probabilities.max(0)
    return f"{model.classes[int(index)]} {value.item():.0%}"
