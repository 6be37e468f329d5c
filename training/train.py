"""L2 adversarial training, one visible loop: ``python -m training.train RECIPE --data FOLDER --output FOLDER``.

The same command continues a run that was killed. On several processes: ``accelerate launch -m training.train ...``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import sys
import time
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from synth import hub
from synth.classifier import RobustClassifier
from synth.constraints import L2
from synth.objectives import cross_entropy
from synth.pgd import pgd
from training import energy, saves
from training.data import Pictures, augment, batches, load
from training.recipes import RECIPES, Recipe, recipe

SAVE_MINUTES = 10
"""The most work that a killed run loses."""
FEWEST = 4
"""Pictures that a class needs."""


def train(
    plan: Recipe,
    source: str | Path,
    output: Path,
    *,
    names: list[str] | None = None,
    max_minutes: float = math.inf,
    quiet: bool = False,
) -> RobustClassifier:
    """Train ``plan`` on the data set ``source``, continuing whatever ``output`` holds; returns the averaged model.

    ``names``: of the classes, instead of those of the data set.
    Every epoch adds a line to ``output/metrics.jsonl``. Every epoch, every SAVE_MINUTES and when ``max_minutes`` are
    over, ``output`` gets a resumable save, and ``output/checkpoint`` a model that is usable as it is.
    """
    began = time.monotonic()
    accelerator = Accelerator(mixed_precision=precision(), cpu=not torch.cuda.is_available())
    device, main = accelerator.device, accelerator.is_main_process
    torch.manual_seed(plan.seed)
    held_out, data = _split(_enough(load(source, "train", plan.image_size, plan.subset), names), plan)
    pairs = plan.pairs if len(data.classes) > 2 else dict([data.classes, data.classes[::-1]])
    model = RobustClassifier(
        architecture=plan.architecture,
        classes=data.classes,
        image_size=plan.image_size,
        width=plan.width,
        mean=list(plan.mean),
        std=list(plan.std),
        presets=plan.presets,
        groups=data.groups,
        pairs=[pair for pair in pairs.items() if set(pair) <= set(data.classes)],
        info={"name": plan.name, "data": plan.data, "recipe": _facts(plan)},
    ).to(device, memory_format=torch.channels_last)
    curriculum = energy.Curriculum(plan.energy_auc, plan.energy_steps)
    elsewhere = load(plan.negatives, "train", plan.image_size).pictures if plan.negatives else None
    if plan.initial:
        _begin_with(model, plan)
    average = AveragedModel(model, multi_avg_fn=partial(_average, plan.ema), use_buffers=True) if plan.ema else None
    result = average.module if average is not None else model
    optimizer = torch.optim.SGD(_groups(model, plan), lr=0, momentum=plan.momentum, nesterov=True)
    first, minutes, totals = _resume(output, model, average, optimizer, curriculum)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    steps = len(data) // min(plan.batch_size, len(data))
    total = plan.epochs * steps
    order, saved = None, began
    model.train(not plan.freeze_norm)
    bar = tqdm(total=total, initial=first, desc=plan.name, disable=quiet or not main, mininterval=2)

    for step in range(first, total):
        epoch, index = divmod(step, steps)
        if order is None or index == 0:
            order = batches(data, plan.batch_size, epoch, plan.seed)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step / total)
        generator = _generator(plan, step)
        batch = data[order[index]]
        negatives = _negatives(plan, model, elsewhere, len(batch[1]), generator) if plan.energy_steps else None
        totals += _step(plan, step / total, batch, negatives, generator, accelerator, model, wrapped, curriculum)
        accelerator.clip_grad_norm_(model.parameters(), plan.clip)
        optimizer.step()
        optimizer.zero_grad()
        if average is not None:
            average.update_parameters(model)
        bar.update()
        bar.set_postfix(epoch=epoch + 1, loss=f"{totals[0] / totals[2]:.3f}", refresh=False)

        now = time.monotonic()
        over = _any(accelerator, (now - began) / 60 > max_minutes)
        if index == steps - 1 or over or _any(accelerator, (now - saved) / 60 > SAVE_MINUTES):
            spent = minutes + (now - began) / 60
            if index == steps - 1:
                line = _metrics(plan, epoch + 1, totals, spent, result, held_out, optimizer, accelerator)
                if plan.energy_steps:
                    line |= {"energy_steps": curriculum.steps, "auc": round(curriculum.area(), 4)}
                totals = torch.zeros(3, dtype=torch.float64)
                if main:
                    output.mkdir(parents=True, exist_ok=True)
                    with (output / "metrics.jsonl").open("a") as file:
                        print(json.dumps(line), file=file)
                    tqdm.write(json.dumps(line), file=sys.stderr)
            if main:
                facts = {"step": step + 1, "minutes": spent, "totals": totals.tolist(), "recipe": plan.name}
                facts["curriculum"] = curriculum.facts()
                saves.save(output, step + 1, _tensors(model, average, optimizer), facts)
                done = {"epochs": round((step + 1) / steps, 2), "minutes": round(spent, 1)}
                result.info |= done | {"machine": _machine(accelerator)}
                result.save_pretrained(output / "checkpoint")
            accelerator.wait_for_everyone()
            saved = time.monotonic()
        if over:
            break
    bar.close()
    return result.eval()


def _step(plan, progress: float, batch, negatives, generator, accelerator, model, wrapped, curriculum) -> Tensor:
    """Gradients of one batch, attacked and accumulated; (3,) sums of the loss, of hits, and the count.

    Every process draws the whole batch's randomness and takes its share, so figures do not depend on how many run.
    """
    pictures, labels = batch
    pictures = augment(pictures, generator, plan.padding)
    directions = torch.randn(pictures.shape, generator=generator)
    share = slice(accelerator.process_index, None, accelerator.num_processes)
    starts, sought = negatives if negatives is not None else (pictures, labels)
    pictures, labels, directions, starts, sought = (
        part[share].to(accelerator.device) for part in (pictures, labels, directions, starts, sought)
    )
    epsilon = plan.epsilon * min(1, progress / plan.epsilon_warmup if plan.epsilon_warmup else 1)
    parts = torch.arange(len(labels), device=accelerator.device).chunk(plan.accumulate)
    totals = torch.zeros(3, dtype=torch.float64)
    climbed = curriculum.steps
    for part in parts:
        x, y = attack(model, pictures[part], labels[part], epsilon, plan, directions[part], accelerator), labels[part]
        if negatives is not None:
            with accelerator.autocast():
                made = energy.climb(model, starts[part], sought[part], climbed, plan.energy_step_size)
            x = torch.cat([x, pictures[part], made])
        with contextlib.nullcontext() if part is parts[-1] else accelerator.no_sync(wrapped):
            logits = wrapped(x)
            loss = F.cross_entropy(logits[: len(y)].float(), y, label_smoothing=plan.label_smoothing)
            if negatives is not None:
                real, made = energy.scores(logits[len(y) :], torch.cat([y, sought[part]])).chunk(2)
                loss = loss + energy.loss(real, made)
                curriculum.add(*accelerator.gather((real.detach(), made.detach())))
            accelerator.backward(loss * len(y) / len(labels))
        hits = (logits[: len(y)].argmax(1) == y).sum().item()
        totals += torch.tensor([loss.item() * len(y), hits, len(y)])
    return totals


def _negatives(plan: Recipe, model: RobustClassifier, elsewhere: Tensor | None, count: int, generator):
    """Pictures (N, 3, S, S) for the second stage to drive up the logits of the classes (N,) beside them.

    Half are starts of synthesis, half pictures from elsewhere if there are any.
    """
    labels = torch.randint(len(model.classes), (count,), generator=generator)
    if elsewhere is None:
        return model.seeds("mixture", labels, generator=generator).cpu(), labels
    half = count // 2
    picked = elsewhere[torch.randint(len(elsewhere), (count - half,), generator=generator)].float() / 255
    return torch.cat([model.seeds("mixture", labels[:half], generator=generator).cpu(), picked]), labels


def attack(
    model: RobustClassifier, x: Tensor, y: Tensor, epsilon: float, plan: Recipe, direction, accelerator
) -> Tensor:
    """Training examples: ``x`` moved within ``epsilon`` to raise the cross-entropy, with the model in eval mode.

    It runs on the unwrapped model: two forward passes through a distributed wrapper before one backward fail.
    """
    if not epsilon:
        return x
    ball = L2(epsilon)
    start = ball.start_along(x, direction, plan.attack_start) if plan.attack_start else x
    size = plan.attack_step_size * epsilon / plan.epsilon
    training = model.training
    model.eval()
    with accelerator.autocast():
        x = pgd(-cross_entropy(model, y), start, ball, center=x, steps=plan.attack_steps, step_size=size)
    model.train(training)
    return x


def learning_rate(plan: Recipe, progress: float) -> float:
    """The rate after the fraction ``progress`` of the training."""
    if plan.schedule == "constant":
        return plan.learning_rate
    if plan.schedule == "steps":
        return plan.learning_rate * 0.1 ** sum(progress >= milestone for milestone in plan.milestones)
    return plan.learning_rate * min(progress / 0.2, (1 - progress) / 0.8) if progress else plan.learning_rate / 100


@torch.no_grad()
def _average(decay: float, averaged: list[Tensor], current: list[Tensor], count: Tensor) -> None:
    """Exponential moving average in place, with a short memory at first so that short runs are not held back."""
    rate = 1 - min(decay, (1 + count.item()) / (10 + count.item()))
    if averaged[0].is_floating_point():
        torch._foreach_lerp_(averaged, current, rate)
    else:
        torch._foreach_copy_(averaged, current)


def _generator(plan: Recipe, step: int) -> torch.Generator:
    """The randomness of one step, so that a resumed run draws what an uninterrupted one would have drawn."""
    return torch.Generator().manual_seed(plan.seed * 1_000_003 + step)


def _any(accelerator: Accelerator, flag: bool) -> bool:
    """Whether any process says so: all must leave the loop, and save, at the same step."""
    if accelerator.num_processes == 1:
        return flag
    return bool(accelerator.gather(torch.tensor([float(flag)], device=accelerator.device)).any())


def _metrics(plan: Recipe, epoch: int, totals: Tensor, minutes: float, model, held_out, optimizer, accelerator) -> dict:
    """The line of an epoch, for all processes together."""
    if accelerator.num_processes > 1:
        totals = accelerator.reduce(totals.float().to(accelerator.device)).cpu()
    return {
        "epoch": epoch,
        "loss": round((totals[0] / totals[2]).item(), 4),
        "train_accuracy": round((totals[1] / totals[2]).item(), 4),
        **(_validate(model, held_out, plan, accelerator.device) if accelerator.is_main_process else {}),
        "learning_rate": round(optimizer.param_groups[0]["lr"], 5),
        "minutes": round(minutes, 2),
        "processes": accelerator.num_processes,
    }


def _machine(accelerator: Accelerator) -> str:
    kind = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    return f"{kind}, {accelerator.num_processes} process(es), precision {accelerator.mixed_precision}"


def precision(device: str | None = None) -> str:
    """ "bf16" where the machine computes in it natively, else "no"."""
    if device == "cuda" or (device is None and torch.cuda.is_available()):
        return "bf16" if torch.cuda.is_bf16_supported() else "no"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "no"


def _facts(plan: Recipe) -> dict:
    return {name: value for name, value in dataclasses.asdict(plan).items() if name not in ("presets", "pairs")}


def _enough(data: Pictures, names: list[str] | None) -> Pictures:
    """The data under ``names``; ValueError if these do not fit, or for a class with too few pictures."""
    if names is not None and (len(names) != len(data.classes) or len(set(names)) != len(names)):
        raise ValueError(f"classes: expected {len(data.classes)} different names, got {', '.join(names)}")
    data = data if names is None else dataclasses.replace(data, classes=names, groups={})
    counts = torch.bincount(data.labels, minlength=len(data.classes)).tolist()
    for name, count in zip(data.classes, counts, strict=True):
        if count < FEWEST:
            raise ValueError(f"data: expected at least {FEWEST} pictures of every class, found {count} of {name}")
    if len(data.classes) < 2:
        raise ValueError(f"data: expected at least two classes, found only {data.classes[0]}")
    return data


def _split(data: Pictures, plan: Recipe) -> tuple[Pictures, Pictures]:
    """Pictures held out for the validation figures of each epoch, and the others."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(plan.seed))
    held = min(plan.validation, len(data) // 10)
    return data.subset(order[:held]), data.subset(order[held:])


def _groups(model: nn.Module, plan: Recipe) -> list[dict]:
    """Weight decay for convolutions and linear layers, none for biases and batch norm."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0}]


def _validate(model: RobustClassifier, data: Pictures, plan: Recipe, device) -> dict:
    """Clean and PGD-10 accuracy at the training epsilon on the held-out pictures."""
    if not len(data):
        return {}
    x, y = data[:]
    x, y = x.to(device), y.to(device)
    training = model.training
    model.eval()
    with torch.no_grad():
        clean = (model(x).argmax(1) == y).float().mean().item()
        epsilon = plan.epsilon or 0.5
        moved = pgd(-cross_entropy(model, y), x, L2(epsilon), steps=10, step_size=epsilon / 4)
        robust = (model(moved).argmax(1) == y).float().mean().item()
    model.train(training)
    return {"held_out_clean": round(clean, 4), f"held_out_pgd10_{epsilon:g}": round(robust, 4)}


def _tensors(model: nn.Module, average: nn.Module | None, optimizer) -> dict[str, Tensor]:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    if average is not None:
        tensors |= {f"average.{name}": value.clone() for name, value in average.state_dict().items()}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, parameter in enumerate(parameters):
        if "momentum_buffer" in optimizer.state[parameter]:
            tensors[f"momentum.{index}"] = optimizer.state[parameter]["momentum_buffer"]
    return tensors


def _begin_with(model: RobustClassifier, plan: Recipe) -> None:
    """Weights (and starts) of the checkpoint that a run begins with; ValueError if it does not fit.

    A second stage goes on with the same network. Any other run takes the tensors whose name and shape fit its own, so
    that a checkpoint of other classes or of another size lends its features.
    """
    initial = hub.load(plan.initial)
    own = {name: value for name, value in model.state_dict().items() if name.startswith("backbone.")}
    fitting = {n: value for n, value in initial.state_dict().items() if n in own and value.shape == own[n].shape}
    if len(fitting) < (len(own) if plan.energy_steps else len(own) // 2):
        raise ValueError(f"initial: expected a network like that of {plan.name}, got {plan.initial}")
    model.load_state_dict(fitting, strict=False)
    if not plan.energy_steps:
        return
    if initial.start is None:
        raise ValueError(f"initial: expected a checkpoint with a start.safetensors, got {plan.initial}")
    model.start = initial.start


def _resume(
    output: Path, model: nn.Module, average: nn.Module | None, optimizer, curriculum: energy.Curriculum
) -> tuple[int, float, Tensor]:
    """Load the newest whole save of ``output``; the steps done, minutes spent, and the epoch's totals so far."""
    found = saves.latest(output)
    if found is None:
        return 0, 0.0, torch.zeros(3, dtype=torch.float64)
    tensors, facts = found

    def part(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}

    model.load_state_dict(part("model."))
    if average is not None:
        average.load_state_dict(part("average."))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, value in part("momentum.").items():
        parameter = parameters[int(index)]
        optimizer.state[parameter]["momentum_buffer"] = torch.empty_like(parameter).copy_(value)
    curriculum.__init__(curriculum.auc, curriculum.most, **facts.get("curriculum", {}))
    return facts["step"], facts["minutes"], torch.tensor(facts["totals"], dtype=torch.float64)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--data", help="folder or Hub data set instead of the recipe's")
    parser.add_argument("--negatives", help="second stage: folder or Hub data set instead of the recipe's")
    parser.add_argument("--output", type=Path, help="folder of the run (default runs/RECIPE)")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the classes, instead of the data set's")
    parser.add_argument("--name", help="of the checkpoint, instead of the recipe's")
    parser.add_argument("--max-minutes", type=float, default=math.inf, help="end cleanly within this wall-clock time")
    parser.add_argument("--epochs", type=int, help="instead of the recipe's; a resumed run follows the new schedule")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    try:
        plan = recipe(options.recipe)
        if options.epochs is not None:
            if options.epochs < 1:
                raise ValueError(f"epochs: expected at least 1, got {options.epochs}")
            plan = dataclasses.replace(plan, epochs=options.epochs)
        if options.name is not None:
            plan = dataclasses.replace(plan, name=options.name)
        if options.negatives is not None:
            plan = dataclasses.replace(plan, negatives=options.negatives)
        output = options.output or Path("runs") / plan.name
        limits = {"max_minutes": options.max_minutes, "quiet": options.quiet}
        train(plan, options.data or plan.data, output, names=options.classes, **limits)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
