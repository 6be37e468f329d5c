"""One step of projected gradient descent as an ONNX graph of ordinary operators, for every task of ``TASKS``."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._decomp import get_decompositions
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext

from synth.classifier import Classifier
from synth.constraints import L2, SHARPENINGS, Inside, shift_blocks

aten = torch.ops.aten


def inputs(model: Classifier, count: int = 2) -> dict[str, Tensor]:
    """What the graph takes, by name, for ``count`` pictures: here values that change nothing of grey pictures."""
    size = model.image_size
    grey, none = torch.full((count, 3, size, size), 0.5), torch.zeros(count)
    return {
        "pictures": grey,
        "center": grey.clone(),
        "logit_weights": torch.zeros(count, len(model.classes)),
        "entropy_weights": torch.zeros(count, len(model.classes)),
        "feature_weights": torch.zeros(count, model.head.in_features),
        "change_weights": torch.zeros(count, 1, size, size),
        "part": torch.zeros(count, 2, 2),
        "shift": torch.zeros(count, 2),
        "smoothing": none,
        "inside": torch.ones(count, 1, size, size),
        "epsilon": none.clone(),
        "step_size": none.clone(),
        "low": grey.clone(),
        "factor": torch.tensor(1.0),
    }


class Gradient(nn.Module):
    """``inputs`` but for the last five, which say where pictures may go -> (gradient, logits, lengths, loss)."""

    def __init__(self, model: Classifier):
        super().__init__()
        self.model = model

    def forward(
        self,
        pictures: Tensor,
        center: Tensor,
        logit_weights: Tensor,
        entropy_weights: Tensor,
        feature_weights: Tensor,
        change_weights: Tensor,
        part: Tensor,
        shift: Tensor,
        smoothing: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        size = pictures.shape[-1]
        rows, columns = (
            view_matrix(shift[:, axis], smoothing, size) @ part_matrix(part[:, axis], size) for axis in range(2)
        )
        with torch.enable_grad():
            x = pictures.detach().requires_grad_()
            view = rows[:, None] @ x @ columns[:, None].mT
            driven = self.model.feature_map(view, identity_gradient=True)
            dead = (driven == 0) | (driven == self.model._network.maximum)
            seen = torch.where(dead, driven.detach(), driven)  # no gradient through the last ReLU where it is flat
            logits = self.model.head(seen.mean((2, 3)))
            loss = (
                (logit_weights * logits).sum(1)
                - (entropy_weights * F.log_softmax(logits, 1)).sum(1)
                + (feature_weights * driven.mean((2, 3))).sum(1)
                + (change_weights * (x - center).square()).flatten(1).mean(1)
            )
            (gradient,) = torch.autograd.grad(loss.sum(), x)
        lengths = driven.detach().square().mean(1, keepdim=True).sqrt()
        return gradient, logits.detach(), lengths, loss.detach()


def view_matrix(shift: Tensor, smoothing: Tensor, size: int) -> Tensor:
    """Matrices (N, size, size) that shift lines by whole pixels ``shift`` (N,), mirrored at the rim, then blur them.

    What ``synth.objectives.jittered`` and ``smoothed`` do, each with one strength a picture.
    """
    line = torch.arange(size, dtype=torch.float32)
    matrix = torch.zeros(())
    for offset, weight in ((-1, smoothing / 4), (0, 1 - smoothing / 2), (1, smoothing / 4)):
        place = (line + offset).clamp(0, size - 1) + shift[:, None]
        place = (size - 1) - ((size - 1) - place.abs()).abs()
        matrix = matrix + weight[:, None, None] * (place[:, :, None] == line).float()
    return matrix


def part_matrix(part: Tensor, size: int) -> Tensor:
    """Matrices (N, size, size) that enlarge a part of lines, for ``part`` (N, 2): factors - 1, and offsets.

    What ``synth.objectives.cropped`` does, by linear interpolation. The whole stays as it is to the last bit: the
    network's clamp gives values on its bounds another gradient than those beside them.
    """
    line = torch.arange(size, dtype=torch.float32)
    place = line + part[:, :1] * (line - (size - 1) / 2) + part[:, 1:] * (size / 2)
    return (1 - (place.clamp(0, size - 1)[:, :, None] - line).abs()).clamp(0, 1)


class Along(nn.Module):
    """A step along the gradient's part inside the mask."""

    def forward(self, pictures: Tensor, gradient: Tensor, inside: Tensor, step_size: Tensor) -> Tensor:
        return Inside(L2(), inside).step(pictures, gradient, step_size.view(-1, 1, 1, 1))  # type: ignore[arg-type]


class Within(nn.Module):
    """The nearest pictures within the ball and the mask."""

    def forward(self, x: Tensor, center: Tensor, inside: Tensor, epsilon: Tensor) -> Tensor:
        return Inside(L2(epsilon.view(-1, 1, 1, 1)), inside).project(x, center)  # type: ignore[arg-type]


class Step(nn.Module):
    """The whole step: ``inputs`` -> (next pictures, logits, lengths, loss); ``spelled_out`` for the exporter."""

    def __init__(self, model: Classifier, spelled_out: bool = False):
        super().__init__()
        self.gradient: nn.Module = Gradient(model)
        self.along: nn.Module = Along()
        self.within: nn.Module = Within()
        if spelled_out:
            *seen, inside, epsilon, step_size, _, _ = inputs(model).values()
            self.gradient = spelled(self.gradient, seen)
            self.along = spelled(self.along, [*seen[:2], inside, step_size])
            self.within = spelled(self.within, [*seen[:2], inside, epsilon])

    def forward(self, *values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        *seen, inside, epsilon, step_size, low, factor = values
        pictures, center = seen[:2]
        gradient, *told = self.gradient(*seen)
        x = self.along(pictures, gradient, inside, step_size)
        x = torch.cond(factor > 1, with_detail, lambda x, before, factor: x.clone(), (x, pictures, factor))
        x = self.within(x, center, inside, epsilon)
        return torch.cond(factor > 1, same_mean, lambda x, low, factor: x.clone(), (x, low, factor)), *told


def with_detail(x: Tensor, before: Tensor, factor: Tensor) -> Tensor:
    """``before`` with the detail of its step to ``x``, as ``synth.constraints.SameMean.step`` takes it."""
    return before + detail(x - before, factor)


def detail(x: Tensor, factor: Tensor) -> Tensor:
    """``synth.constraints.detail`` of ``x`` (N, 3, S, S) for blocks of ``factor`` ()."""
    line = torch.arange(x.shape[-1], dtype=torch.float32)
    average = (line[:, None] == (line / factor).floor()).float() / factor
    place = torch.minimum(((line + 0.5) / factor - 0.5).clamp_min(0), (x.shape[-1] / factor).floor() - 1)
    enlarged = (1 - (place[:, None] - line).abs()).clamp_min(0)
    again, sharpened = average @ enlarged, average
    for _ in range(SHARPENINGS):
        sharpened = sharpened + average - again @ sharpened
    smooth = enlarged @ sharpened
    return x - smooth @ x @ smooth.T


def same_mean(x: Tensor, low: Tensor, factor: Tensor) -> Tensor:
    """``synth.constraints.SameMean.match`` for blocks of ``factor`` (), whose means ``low`` (N, 3, S, S) repeats."""
    block = (torch.arange(x.shape[-1], dtype=torch.float32) / factor).floor()
    average = (block[:, None] == block).float() / factor
    return shift_blocks(x, low, lambda x: average @ x @ average)


def convolution_backward(gradient, x, weight, bias, stride, padding, dilation, transposed, extra, groups, wanted):
    """The gradient by the input alone: a transposed convolution with the same weights."""
    if wanted[1] or (len(wanted) > 2 and wanted[2]) or transposed:
        return NotImplemented
    lost = [
        x.shape[i + 2] - ((gradient.shape[i + 2] - 1) * stride[i] - 2 * padding[i])
        - dilation[i] * (weight.shape[i + 2] - 1) - 1
        for i in range(2)
    ]  # fmt: skip
    back = aten.convolution(gradient, weight, None, stride, padding, dilation, True, lost, groups)
    return back, None, None


def clamp(x, minimum=None, maximum=None):
    """The exporter cannot write an infinite bound."""
    return aten.relu(x) if (minimum, maximum) == (0, math.inf) else NotImplemented


def max_pool2d_backward(gradient, x, kernel, stride, padding, dilation, ceil, indices):
    """Each gradient goes to the place that the largest value came from."""
    flat = torch.zeros_like(x).flatten(2).scatter_add(2, indices.flatten(2), gradient.flatten(2))
    return flat.view(x.shape)


def add(x, other):
    """The exporter takes the addition of a tiny number for none, and a gradient of zeros for one of length 1."""
    return x.clamp_min(other) if isinstance(other, float) and 0 < other < 1e-8 else NotImplemented


DECOMPOSITIONS: dict[Any, Any] = {
    aten.add.Tensor: add,
    aten.clamp.default: clamp,
    aten.convolution_backward.default: convolution_backward,
    aten.max_pool2d_with_indices_backward.default: max_pool2d_backward,
    **get_decompositions([aten.threshold_backward, aten.hardtanh_backward, aten.silu_backward]),
}


def spelled(module: nn.Module, values: list[Tensor]) -> nn.Module:
    """``module``, which takes ``values``, in operators that can be exported, for any number of pictures."""
    mode = FakeTensorMode(shape_env=ShapeEnv(), allow_non_fake_inputs=True)
    fakes = []
    for value in values:
        sizes = [DimDynamic.DYNAMIC, *[DimDynamic.STATIC] * (value.ndim - 1)]
        fakes.append(mode.from_tensor(value, symbolic_context=StatelessSymbolicContext(dynamic_sizes=sizes)))
    with mode:
        return make_fx(module, DECOMPOSITIONS, tracing_mode="real", _allow_non_fake_inputs=True)(*fakes)
