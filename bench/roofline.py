"""How near a synthesis step comes to the machine's limit: ``python -m bench.roofline`` prints the table.

The work is the floating-point operations of the forward pass and of the gradient by the picture, as PyTorch counts them
on the plain network; the limit is the best rate that one large convolution (and one large matrix product) reaches here
in the same precision and memory layout. The profile says where the time of a step goes.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections import Counter
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from bench.peers import inputs, network, ours
from synth.classifier import Classifier
from training.tables import table

SHAPES = [(64, 64, 56), (128, 128, 28), (256, 256, 14), (512, 512, 7), (512, 512, 14)]
"""Channels in and out, side: 3x3 convolutions, those of a ResNet and a larger one."""
GROUPS = {"convolutions": ("conv",), "format conversions": ("copy", "reorder", "contiguous", "clone", "to_")}
ELEMENTWISE = ("hardtanh", "threshold", "relu", "add", "sub", "mul", "div", "clamp", "where", "gt", "lt", "le", "ge")


def best(work: Callable[[], object], seconds: float = 1.5) -> float:
    """The least seconds that ``work`` takes, tried for ``seconds``."""
    least, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        work()
        least = min(least, time.perf_counter() - start)
    return least


@torch.no_grad()
def matrix_rate(side: int = 2048) -> float:
    """Floating-point operations a second of a product of two square matrices."""
    a, b = torch.rand(2, side, side)
    return 2 * side**3 / best(lambda: a @ b)


@torch.no_grad()
def convolution_rate(channels: int, filters: int, side: int, batch: int = 16) -> float:
    """Floating-point operations a second of a 3x3 convolution, channels last."""
    x = torch.rand(batch, channels, side, side).to(memory_format=torch.channels_last)
    weight = torch.rand(filters, channels, 3, 3).to(memory_format=torch.channels_last)
    return 2 * batch * filters * side**2 * channels * 9 / best(lambda: F.conv2d(x, weight, padding=1))


def operations(model: Classifier, x: Tensor) -> int:
    """Floating-point operations of one step on ``x``."""
    frozen = copy.deepcopy(model).requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        frozen(x.clone().requires_grad_()).sum().backward()
    return counter.get_total_flops()


def shares(work: Callable[[], object]) -> dict[str, float]:
    """The share of the time of ``work`` that each group of operators takes."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        work()
    times: Counter[str] = Counter()
    for event in profiler.key_averages():
        times[group(event.key)] += event.self_cpu_time_total
    return {name: times[name] / times.total() for name in [*GROUPS, "elementwise", "other"]}


def group(operator: str) -> str:
    name = operator.split("::")[-1]
    if "::" in operator:
        for label, parts in GROUPS.items():
            if any(part in name for part in parts):
                return label
        if name.rstrip("_").removesuffix("_backward") in ELEMENTWISE or name.startswith("clamp"):
            return "elementwise"
    return "other"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.roofline", description=__doc__.splitlines()[0])
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--sizes", type=int, nargs="+", default=[32, 224])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=6, help="measure each row so long")
    options = parser.parse_args(arguments)
    matrix = matrix_rate()
    convolutions = {shape: convolution_rate(*shape) for shape in SHAPES}
    limit = max(convolutions.values())
    print(f"{torch.get_num_threads()} threads, float32: matrix product {matrix / 1e9:.0f} GFLOP/s, 3x3 convolutions")
    print(", ".join(f"{i}->{o} at {s}x{s}: {rate / 1e9:.0f}" for (i, o, s), rate in convolutions.items()), end="\n\n")
    rows = []
    for size in options.sizes:
        model = network(options.network, size)
        attack = ours(model)
        for batch in options.batches:
            x, y = inputs(model, batch)
            work = operations(model, x[:1]) * batch
            step = partial(attack, x, y, 1)
            step()
            seconds, parts = best(step, options.seconds), shares(step)
            rate = work / seconds
            row = [f"{size}", f"{batch}", f"{1e3 * seconds:.1f}", f"{work / 1e9:.1f}", f"{rate / 1e9:.0f}"]
            rows.append([*row, *(f"{share:.0%}" for share in [rate / limit, rate / matrix, *parts.values()])])
    head = ["pixels", "batch", "ms per step", "GFLOP", "GFLOP/s", "of the convolution's", "of the matrix product's"]
    print(table([*head, *(f"time in {name}" for name in parts)], rows))


if __name__ == "__main__":
    main()
