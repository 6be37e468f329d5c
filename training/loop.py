"""What every training shares: shuffled epochs, a budget of time, saves to resume from, a line of figures an epoch."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from abc import ABC, abstractmethod
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from training import train_state
from training.data import Pictures, batches

SAVE_MINUTES = 10
"""The most work that a killed run loses."""


class Trainer(ABC):
    """One training: what a step does, and all that a save must hold.

    modules and optimizers: by name; their tensors are saved, resumed and, the first optimizer's rate, reported.
    """

    modules: dict[str, nn.Module]
    optimizers: dict[str, Optimizer]

    @abstractmethod
    def step(self, index: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        """Learn from the pictures ``index`` after the fraction ``progress`` of the whole training.

        Returns sums over this process's pictures by the figure's name, and their "count". All randomness comes from
        ``generator``, so that a resumed run draws what an uninterrupted one would have drawn.
        """

    @abstractmethod
    def write(self, folder: Path, done: dict) -> None:
        """Put a model that is usable as it is into ``folder``; ``done``: epochs, minutes and machine so far."""

    def validate(self) -> dict[str, float]:
        """Figures of the held-out pictures, for the line of an epoch."""
        return {}

    def facts(self) -> dict:
        """What a save must hold besides tensors, as plain values."""
        return {}

    def restore(self, facts: dict) -> None:  # noqa: B027
        """Take up the ``facts`` of a save."""


def run(
    work: Trainer,
    data: Pictures,
    *,
    name: str,
    epochs: int,
    batch_size: int,
    seed: int,
    output: Path,
    accelerator: Accelerator,
    began: float,
    max_minutes: float = math.inf,
    quiet: bool = False,
) -> None:
    """Do ``work`` for ``epochs`` of ``data``, continuing what ``output`` holds, until ``max_minutes`` after ``began``.

    Every epoch adds a line to ``output/metrics.jsonl``. Every epoch, every SAVE_MINUTES and when the time is over,
    ``output`` gets a resumable save, and ``output/checkpoint`` what ``work`` writes.
    """
    main = accelerator.is_main_process
    first, minutes, totals = _resume(work, output)
    steps = len(data) // min(batch_size, len(data))
    order, saved, total = None, began, epochs * steps
    bar = tqdm(total=total, initial=first, desc=name, disable=quiet or not main, mininterval=2)
    for step in range(first, total):
        epoch, index = divmod(step, steps)
        if order is None or index == 0:
            order = batches(data, batch_size, epoch, seed)
        generator = torch.Generator().manual_seed(seed * 1_000_003 + step)
        for figure, value in work.step(order[index], step / total, generator).items():
            totals[figure] = totals.get(figure, 0) + value
        bar.update()
        bar.set_postfix(epoch=epoch + 1, loss=f"{totals['loss'] / totals['count']:.3f}", refresh=False)

        now = time.monotonic()
        over = _any(accelerator, (now - began) / 60 > max_minutes)
        if index == steps - 1 or over or _any(accelerator, (now - saved) / 60 > SAVE_MINUTES):
            spent = minutes + (now - began) / 60
            if index == steps - 1:
                line = {"epoch": epoch + 1, **_means(totals, accelerator), **(work.validate() if main else {})}
                rate = next(iter(work.optimizers.values())).param_groups[0]["lr"]
                line |= {"learning_rate": round(rate, 5), "minutes": round(spent, 2)}
                line["processes"] = accelerator.num_processes
                totals = {}
                if main:
                    output.mkdir(parents=True, exist_ok=True)
                    with (output / "metrics.jsonl").open("a") as file:
                        print(json.dumps(line), file=file)
                    tqdm.write(json.dumps(line), file=sys.stderr)
            if main:
                facts = {"step": step + 1, "minutes": spent, "totals": totals, "name": name} | work.facts()
                train_state.save(output, step + 1, _tensors(work), facts)
                done = {"epochs": round((step + 1) / steps, 2), "minutes": round(spent, 1)}
                work.write(output / "checkpoint", done | {"machine": machine(accelerator)})
            accelerator.wait_for_everyone()
            saved = time.monotonic()
        if over:
            break
    bar.close()


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """An exponential moving average of ``model``, its buffers included."""
    return AveragedModel(model, multi_avg_fn=partial(_average, decay), use_buffers=True)


def one_cycle(progress: float) -> float:
    """The rate after the fraction ``progress`` of the training, of its peak: a fifth up, the rest down."""
    return min(progress / 0.2, (1 - progress) / 0.8) if progress else 0.01


def precision(device: str | None = None) -> str:
    """ "bf16" where the machine computes in it natively, else "no"."""
    if device == "cuda" or (device is None and torch.cuda.is_available()):
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def accelerate(*handlers) -> Accelerator:
    """Of all processes, in the machine's precision."""
    return Accelerator(mixed_precision=precision(), cpu=not torch.cuda.is_available(), kwargs_handlers=list(handlers))


@torch.no_grad()
def _average(decay: float, averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
    """In place, with a short memory at first so that short runs are not held back."""
    rate = 1 - min(decay, (1 + count.item()) / (10 + count.item()))
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, rate)
    else:
        torch._foreach_copy_(averaged, current)


def _means(totals: dict[str, float], accelerator: Accelerator) -> dict[str, float]:
    """Of all processes together."""
    sums = torch.tensor(list(totals.values()), dtype=torch.float64)
    if accelerator.num_processes > 1:
        sums = accelerator.reduce(sums.float().to(accelerator.device)).cpu()
    found = dict(zip(totals, sums.tolist(), strict=True))
    count = found.pop("count")
    return {figure: round(value / count, 4) for figure, value in found.items()}


def _any(accelerator: Accelerator, flag: bool) -> bool:
    """Whether any process says so: all must leave the loop, and save, at the same step."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.gather(torch.tensor([float(flag)], device=accelerator.device)).any())


def machine(accelerator: Accelerator) -> str:
    """What a training ran on, in words."""
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return f"{kind}, {accelerator.num_processes} process(es), precision {accelerator.mixed_precision}"


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _tensors(work: Trainer) -> dict[str, Tensor]:
    """Every module's and every optimizer's, "name.rest"."""
    tensors = {f"{name}.{key}": one.clone() for name, m in work.modules.items() for key, one in m.state_dict().items()}
    for name, optimizer in work.optimizers.items():
        for index, parameter in enumerate(_parameters(optimizer)):
            kept = optimizer.state[parameter].items() if parameter in optimizer.state else ()
            tensors |= {f"{name}.{index}.{key}": one for key, one in kept if isinstance(one, Tensor)}
    return tensors


def _resume(work: Trainer, output: Path) -> tuple[int, float, dict[str, float]]:
    """Load the newest whole save of ``output``; the steps done, minutes spent, and the epoch's sums so far."""
    found = train_state.latest(output)
    if found is None:
        return 0, 0.0, {}
    tensors, facts = found

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    for name, module in work.modules.items():
        module.load_state_dict(part(f"{name}."))
    for name, optimizer in work.optimizers.items():
        parameters = _parameters(optimizer)
        for place, value in part(f"{name}.").items():
            index, key = place.split(".")
            parameter = parameters[int(index)]
            fits = value.shape == parameter.shape
            optimizer.state[parameter][key] = torch.empty_like(parameter).copy_(value) if fits else value
    work.restore(facts)
    return facts["step"], facts["minutes"], facts["totals"]
