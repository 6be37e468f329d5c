"""L2 adversarial training, one visible loop: ``python -m training.train RECIPE --data FOLDER --output FOLDER``.

The same command continues a run that was killed. On several processes: ``accelerate launch -m training.train ...``.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from synth import checkpoint
from synth.classifier import Classifier
from synth.constraints import L2
from synth.objectives import cross_entropy
from synth.pgd import pgd
from training import distillation, energy, loop, machine
from training.config import TrainConfig, parse
from training.data import Pictures, augment, crop_resized, hold_out, load, mixed
from training.initial import build
from training.recipes import RECIPES, recipe

MIN_PICTURES = 4
"""Pictures that a class needs."""
SHORT = {
    "name": "name of the checkpoint",
    "epochs": "number of epochs",
    "image_size": "side of the pictures in pixels; epsilon, padding and presets grow with it",
    "initial": "checkpoint to begin with",
    "negatives": "folder or Hub data set of the second stage's negatives",
    "epsilon": "radius of the attack; its step size grows in proportion",
}
"""Fields of a recipe that have an option of their own, with its help."""


def train(
    config: TrainConfig,
    source: str | Path,
    output: Path,
    *,
    names: list[str] | None = None,
    max_minutes: float = math.inf,
    quiet: bool = False,
    change_recipe: bool = False,
) -> Classifier:
    """Train ``config`` on the data set ``source``, continuing whatever ``output`` holds; returns the averaged model.

    Every epoch adds a line to ``output/metrics.jsonl``. Every epoch, every ``loop.SAVE_MINUTES`` and when the time is
    over, ``output`` gets a save to resume from, and ``output/checkpoint`` a model that can be used as it is.
    ``output/best`` has the model after that epoch, among those at the final size, which is right most often about the
    held-out pictures, under attack if the training attacks.
    names: of the classes, instead of those of the data set. change_recipe: whether it may continue a run of another.
    """
    accelerator = machine.accelerate()
    limits = {"max_minutes": max_minutes, "quiet": quiet, "change_recipe": change_recipe}
    run = loop.Run(config.name, output, accelerator, recipe=config.facts, **limits)
    torch.manual_seed(config.seed)
    data = load(source, "train", config.image_size, config.subset)
    held_out, data = hold_out(_check(data, names), config)
    model = build(config, data).to(accelerator.device, memory_format=torch.channels_last)
    average = loop.averaged(model, config.ema) if config.ema else None
    result = model if average is None else average.module
    optimizer = torch.optim.SGD(_groups(model, config), lr=0, momentum=config.momentum, nesterov=True)
    wrapped, optimizer = accelerator.prepare(model, optimizer)
    model.train(not config.freeze_norm)
    elsewhere = None
    if config.negatives and config.negatives != energy.BATCH:
        elsewhere = load(config.negatives, "train", config.image_size).pictures
    known = distillation.targets(config.teacher, data, output, accelerator) if config.teacher else None

    parts = {"model": model} | ({} if average is None else {"average": average}) | {"momentum": optimizer}
    curriculum = energy.Curriculum(config.energy_auc, config.energy_steps)
    best = 0.0
    if saved := run.resume(parts):
        curriculum.restore(saved["curriculum"])
        best = saved.get("best", best)
    for batch in run.batches(data, config, config.source_side):
        now = config.phase(batch.epoch)
        loop.set_learning_rate(optimizer, loop.learning_rate(config, batch.progress))
        epsilon = now.epsilon * min(1, batch.progress / config.epsilon_warmup if config.epsilon_warmup else 1)

        # Every process draws the whole batch's randomness and takes its part: their number changes no result.
        x, count = batch.pictures, len(batch)
        negatives = ()
        if config.energy_steps:
            negatives = energy.draw(model, elsewhere, count, now.image_size, batch.generator)
        if config.crop:
            x = crop_resized(x, batch.generator, config.crop, now.image_size, batch.part, count)
        else:
            x = augment(x, batch.generator, now.padding, batch.part, count)
        targets, real = batch.labels if known is None else known[batch.indices[batch.part]], x
        if config.mix:
            probabilities = F.one_hot(targets, len(data.classes)).float() if known is None else targets
            x, targets = mixed(x, probabilities, batch.generator, config.mix, batch.part, count)
        directions = torch.randn((count, *x.shape[1:]), generator=batch.generator)[batch.part]
        negatives = [tensor[batch.part] for tensor in negatives]
        if negatives and config.negatives == energy.BATCH:
            negatives = energy.turn(*negatives, real, batch.labels, len(data.classes))
        negatives = [tensor.to(accelerator.device) for tensor in negatives]
        tensors = (x, batch.labels, targets, directions, real)
        x, y, targets, directions, real = (tensor.to(accelerator.device) for tensor in tensors)

        inputs = attack(model, x, targets, epsilon, now, directions, accelerator)
        if negatives:
            starts, sought = negatives
            if not batch.step:
                middle = energy.middle(model, real, y, starts, sought)
                model.head.bias.data -= accelerator.reduce(middle, "mean")
            with accelerator.autocast():
                climbed = energy.climb(model, starts, sought, curriculum.steps, now.energy_step_size)
            inputs = torch.cat([inputs, real, climbed])
        logits = wrapped(inputs)
        logits, rest = logits[: len(y)], logits[len(y) :]
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=config.label_smoothing)
        if negatives:
            of_real, of_fake = energy.scores(rest, torch.cat([y, sought])).chunk(2)
            loss = loss + energy.loss(of_real, of_fake)
            curriculum.add(*accelerator.gather((of_real.detach(), of_fake.detach())))
        accelerator.backward(loss)
        correct = (logits.argmax(1) == y).sum().item()
        run.add(loss=loss.item() * len(y), train_accuracy=correct, count=len(y))
        accelerator.clip_grad_norm_(model.parameters(), config.clip)
        optimizer.step()
        optimizer.zero_grad()
        if average is not None:
            average.update_parameters(model)

        if batch.ends_epoch:
            shown = held_out.at(now.image_size)
            validation = validate(result, shown, now, accelerator) if accelerator.is_main_process else {}
            if config.energy_steps:
                validation |= {"energy_steps": curriculum.steps, "auc": round(curriculum.area(), 4)}
            run.log(batch, validation, loop.learning_rate(config, batch.progress))
            at_last = now.image_size == config.phase(config.epochs - 1).image_size
            if at_last and (score := held_out_score(validation, config)) > best:
                best = score
                result.info |= run.summary(batch)
                checkpoint.save(output / "best", result)
        if run.save_due(batch):
            if accelerator.is_main_process:
                run.save(batch, parts, curriculum=curriculum.facts(), best=best)
                result.info |= run.summary(batch)
                checkpoint.save(output / "checkpoint", result)
            accelerator.wait_for_everyone()
        if run.over:
            break
    return result.eval()


def attack(
    model: Classifier, x: Tensor, y: Tensor, epsilon: float, config: TrainConfig, direction, accelerator: Accelerator
) -> Tensor:
    """Training examples: ``x`` moved within ``epsilon`` to raise the cross-entropy of the model in eval mode.

    y: labels (N,), or the probabilities (N, K) of the classes. It runs on a copy: two forward
    passes through a distributed wrapper before one backward fail.
    """
    if not epsilon:
        return x
    ball = L2(epsilon)
    start = ball.start_along(x, direction, config.attack_start) if config.attack_start else x
    size = config.attack_step_size * epsilon / config.epsilon
    with accelerator.autocast():
        loss = -cross_entropy(model.folded_copy(), y)
        return pgd(loss, start, ball, center=x, steps=config.attack_steps, step_size=size)


@torch.no_grad()
def validate(model: Classifier, data: Pictures, config: TrainConfig, accelerator: Accelerator) -> dict[str, float]:
    """Clean and PGD-10 accuracy at the training epsilon on the held-out pictures."""
    if not len(data):
        return {}
    engine, epsilon = model.folded_copy(), config.epsilon or 0.5
    correct = torch.zeros(2)
    for x, y in loop.feed(data, list(torch.arange(len(data)).split(config.batch_size))):
        x, y = x.to(model.device), y.to(model.device)
        with accelerator.autocast():
            moved = pgd(-cross_entropy(engine, y), x, L2(epsilon), steps=10, step_size=epsilon / 4)
            correct += torch.tensor([(engine(pictures).argmax(1) == y).sum().item() for pictures in (x, moved)])
    clean, robust = (correct / len(data)).tolist()
    return {"held_out_clean": round(clean, 4), f"held_out_pgd10_{epsilon:g}": round(robust, 4)}


def held_out_score(validation: dict[str, float], config: TrainConfig) -> float:
    """Of what ``validate`` returned, the accuracy that the training is for; 0 if there is none."""
    kind = "held_out_pgd10" if config.epsilon else "held_out_clean"
    return next((value for name, value in validation.items() if name.startswith(kind)), 0.0)


def _check(data: Pictures, names: list[str] | None) -> Pictures:
    """The data under ``names``; ValueError if these do not fit, or for a class with too few pictures."""
    if names is not None and (len(names) != len(data.classes) or len(set(names)) != len(names)):
        raise ValueError(f"classes: expected {len(data.classes)} different names, got {', '.join(names)}")
    data = data if names is None else dataclasses.replace(data, classes=names, groups={})
    counts = torch.bincount(data.labels, minlength=len(data.classes)).tolist()
    for name, count in zip(data.classes, counts, strict=True):
        if count < MIN_PICTURES:
            raise ValueError(f"data: expected at least {MIN_PICTURES} pictures of every class, got {count} of {name}")
    if len(data.classes) < 2:
        raise ValueError(f"data: expected at least two classes, got only {data.classes[0]}")
    return data


def _groups(model: nn.Module, config: TrainConfig) -> list[dict]:
    """Weight decay for convolutions and linear layers, none for biases and batch norm."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": config.weight_decay}, {"params": vectors, "weight_decay": 0}]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    parser.add_argument("recipe", help=f"one of {', '.join(RECIPES)}")
    parser.add_argument("--data", help="folder or Hub data set instead of the recipe's")
    parser.add_argument("--output", type=Path, help="folder of the run (default: runs/NAME)")
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="names of the classes, instead of the data set's")
    parser.add_argument("--max-minutes", type=float, default=math.inf, help="end cleanly within this wall-clock time")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    text = "go on with a run of another recipe, such as one of fewer epochs"
    parser.add_argument("--change-recipe", action="store_true", help=text)
    changes = parser.add_argument_group("changes of the recipe")
    changes.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="any field of the recipe")
    for name, text in SHORT.items():
        changes.add_argument(f"--{name.replace('_', '-')}", help=text)
    options = parser.parse_args(arguments)
    try:
        short = [f"{name}={value}" for name in SHORT if (value := getattr(options, name)) is not None]
        changed = dict(map(parse, options.set + short))
        config = recipe(options.recipe, **changed)
        source = options.data or config.data
        if not source:
            raise ValueError(f"data: expected a folder or a Hub data set for the recipe {options.recipe}, got none")
        if not config.data:
            config = dataclasses.replace(config, data=source if source.count("/") == 1 else Path(source).resolve().name)
        output = options.output or Path("runs") / config.name
        limits = {"max_minutes": options.max_minutes, "quiet": options.quiet, "change_recipe": options.change_recipe}
        train(config, source, output, names=options.classes, **limits)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
