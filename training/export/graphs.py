"""The ONNX graphs of a checkpoint, each checked against PyTorch."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.classifier import Classifier
from training.export import halves
from training.export.step import Step, inputs

TOLERANCE = 1e-3
"""The largest difference of a pixel or logit from PyTorch's."""
OUTPUTS = ("next", "logits", "lengths", "loss")
"""What step.onnx gives."""


def logits(model: Classifier) -> bytes:
    """model.onnx; ValueError if it computes anything else than PyTorch."""
    folded = model.folded_copy().to("cpu")
    values = {"pictures": examples(folded)["pictures"]}
    return _finished("model.onnx", _program(folded, values, ["logits"]), folded, values, model, folded)


def step(model: Classifier) -> bytes:
    """step.onnx; ValueError if it computes anything else than PyTorch."""
    folded = model.folded_copy().to("cpu")
    values = examples(folded)
    program = _program(Step(folded, spelled_out=True), values, list(OUTPUTS))
    return _finished("step.onnx", program, Step(folded), values, model, folded)


def shapes(model: Classifier) -> tuple[dict[str, list], dict[str, list]]:
    """Shapes of the inputs and of the outputs of step.onnx by name, "N" for the number of pictures."""
    taken = {name: ["N", *value.shape[1:]] if value.ndim else [] for name, value in inputs(model).items()}
    with torch.no_grad():
        height, width = model.feature_map(examples(model)["pictures"].to(model.device)).shape[2:]
    given = (taken["pictures"], taken["logit_weights"], ["N", 1, height, width], taken["epsilon"])
    return taken, dict(zip(OUTPUTS, given, strict=True))


def examples(model: Classifier) -> dict[str, Tensor]:
    """Inputs of a step of three random pictures in which every term counts."""
    random = torch.Generator().manual_seed(0)
    values = {name: torch.rand(value.shape, generator=random) for name, value in inputs(model, 3).items()}
    low = F.interpolate(F.avg_pool2d(values["low"], 4), scale_factor=4)
    part = torch.tensor([[[-0.4, 0.3], [-1.6, -0.4]], [[0, 0], [0, 0]], [[-0.1, 0.05], [-0.1, -0.1]]])
    shift = torch.tensor([[-8.0, 8], [0, 3], [1, -1]])
    return values | {"part": part, "shift": shift, "low": low, "factor": torch.tensor(4.0)}


def _program(module: nn.Module, values: dict[str, Tensor], outputs: list[str]) -> Any:
    """The ONNX model of ``module``, which takes ``values``, for any number of pictures."""
    shapes = tuple({0: torch.export.Dim("N")} if value.ndim else None for value in values.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that all inputs have the same N
        return torch.onnx.export(
            module.eval(),
            tuple(values.values()),
            dynamo=True,
            dynamic_shapes=(shapes,) if isinstance(module, Step) else shapes,
            input_names=list(values),
            output_names=outputs,
            external_data=False,
            verbose=False,
        ).model_proto


def _finished(
    name: str, program: Any, reference: nn.Module, values: dict[str, Tensor], model: Classifier, folded: Classifier
) -> bytes:
    """``program``, small, with the names of the classes, and checked."""
    halves.strip(program.graph)
    halves.store_halves(program.graph, halves.scales(model, folded))
    about = {"name": model.name, "image_size": json.dumps(model.image_size), "classes": json.dumps(model.classes)}
    for key, value in about.items():
        program.metadata_props.add(key=key, value=value)
    content = program.SerializeToString()
    check(name, content, reference, values)
    return content


def check(name: str, content: bytes, reference: nn.Module, values: dict[str, Tensor]) -> None:
    """ValueError unless the ONNX model in ``content`` gives what ``reference`` does for ``values``; no loss counts."""
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = reference(*values.values())
    expected = expected[:-1] if isinstance(expected, tuple) else (expected,)
    given = session.run(None, {key: value.numpy() for key, value in values.items()})
    apart = max(np.abs(ours - theirs.numpy()).max() for ours, theirs in zip(given, expected, strict=False))
    if not apart <= TOLERANCE:
        raise ValueError(f"checkpoint: expected {name} within {TOLERANCE} of PyTorch, got {apart:.2g} apart")
