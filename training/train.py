"""L2 adversarial training, one visible loop: ``python -m training.train RECIPE --data FOLDER --output FOLDER``.

The same command continues a run that was killed. On several processes: ``accelerate launch -m training.train ...``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from torch import Tensor, nn

from synth import hub
from synth.classifier import Classifier
from synth.constraints import L2
from synth.objectives import cross_entropy
from synth.pgd import pgd
from training import energy, loop
from training.data import Pictures, augment, load
from training.recipes import RECIPES, TrainConfig, recipe

FEWEST = 4
"""Pictures that a class needs."""


def train(
    plan: TrainConfig,
    source: str | Path,
    output: Path,
    *,
    names: list[str] | None = None,
    max_minutes: float = math.inf,
    quiet: bool = False,
) -> Classifier:
    """Train ``plan`` on the data set ``source``, continuing whatever ``output`` holds; returns the averaged model.

    ``names``: of the classes, instead of those of the data set. ``training/loop.py`` says what ``output`` gets, when.
    """
    began, accelerator = time.monotonic(), loop.accelerate()
    torch.manual_seed(plan.seed)
    held_out, data = split(_enough(load(source, "train", plan.image_size, plan.subset), names), plan)
    work = ClassifierTrainer(plan, data, held_out, accelerator)
    budget = {"began": began, "max_minutes": max_minutes, "quiet": quiet}
    shape = {"name": plan.name, "epochs": plan.epochs, "batch_size": plan.batch_size, "seed": plan.seed}
    loop.run(work, data, output=output, accelerator=accelerator, **shape, **budget)
    return work.result.eval()


class ClassifierTrainer(loop.Trainer):
    """L2 adversarial training of a classifier, perhaps with the second stage of ``training/energy.py``."""

    def __init__(self, plan: TrainConfig, data: Pictures, held_out: Pictures, accelerator: Accelerator):
        self.plan, self.data, self.held_out, self.accelerator = plan, data, held_out, accelerator
        pairs = plan.pairs if len(data.classes) > 2 else dict([data.classes, data.classes[::-1]])
        self.model = model = Classifier(
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
        ).to(accelerator.device, memory_format=torch.channels_last)
        self.curriculum = energy.Curriculum(plan.energy_auc, plan.energy_steps)
        self.elsewhere = load(plan.negatives, "train", plan.image_size).pictures if plan.negatives else None
        if plan.initial:
            _begin_with(model, plan)
        self.average = loop.averaged(model, plan.ema) if plan.ema else None
        self.result = model if self.average is None else self.average.module
        optimizer = torch.optim.SGD(_groups(model, plan), lr=0, momentum=plan.momentum, nesterov=True)
        self.modules = {"model": model} | ({} if self.average is None else {"average": self.average})
        self.optimizers = {"momentum": optimizer}
        self.wrapped, self.optimizer = accelerator.prepare(model, optimizer)
        model.train(not plan.freeze_norm)

    def step(self, index: Tensor, progress: float, generator: torch.Generator) -> dict[str, float]:
        plan, model, accelerator = self.plan, self.model, self.accelerator
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(plan, progress)
        batch = self.data[index]
        negatives = _negatives(plan, model, self.elsewhere, len(batch[1]), generator) if plan.energy_steps else None
        sums = self._gradients(progress, batch, negatives, generator)
        accelerator.clip_grad_norm_(model.parameters(), plan.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.average is not None:
            self.average.update_parameters(model)
        return sums

    def _gradients(self, progress: float, batch, negatives, generator: torch.Generator) -> dict[str, float]:
        """Gradients of one batch, attacked and accumulated.

        Every process draws the whole batch's randomness and takes its share, so figures do not depend on how many run.
        """
        plan, model, accelerator, curriculum = self.plan, self.model, self.accelerator, self.curriculum
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
        sums = {"loss": 0.0, "train_accuracy": 0.0, "count": len(labels)}
        climbed = curriculum.steps
        for part in parts:
            y = labels[part]
            x = attack(model, pictures[part], y, epsilon, plan, directions[part], accelerator)
            if negatives is not None:
                with accelerator.autocast():
                    made = energy.climb(model, starts[part], sought[part], climbed, plan.energy_step_size)
                x = torch.cat([x, pictures[part], made])
            with contextlib.nullcontext() if part is parts[-1] else accelerator.no_sync(self.wrapped):
                logits = self.wrapped(x)
                loss = F.cross_entropy(logits[: len(y)].float(), y, label_smoothing=plan.label_smoothing)
                if negatives is not None:
                    real, made = energy.scores(logits[len(y) :], torch.cat([y, sought[part]])).chunk(2)
                    loss = loss + energy.loss(real, made)
                    curriculum.add(*accelerator.gather((real.detach(), made.detach())))
                accelerator.backward(loss * len(y) / len(labels))
            sums["loss"] += loss.item() * len(y)
            sums["train_accuracy"] += (logits[: len(y)].argmax(1) == y).sum().item()
        return sums

    def validate(self) -> dict[str, float]:
        found = _validate(self.result, self.held_out, self.plan, self.accelerator.device)
        if self.plan.energy_steps:
            found |= {"energy_steps": self.curriculum.steps, "auc": round(self.curriculum.area(), 4)}
        return found

    def write(self, folder: Path, done: dict) -> None:
        self.result.info |= done
        self.result.save_pretrained(folder)

    def facts(self) -> dict:
        return {"curriculum": self.curriculum.facts()}

    def restore(self, facts: dict) -> None:
        self.curriculum.__init__(self.curriculum.auc, self.curriculum.most, **facts["curriculum"])


def _negatives(plan: TrainConfig, model: Classifier, elsewhere: Tensor | None, count: int, generator):
    """Pictures (N, 3, S, S) for the second stage to drive up the logits of the classes (N,) beside them.

    Half are starts of synthesis, half pictures from elsewhere if there are any.
    """
    labels = torch.randint(len(model.classes), (count,), generator=generator)
    if elsewhere is None:
        return model.sample_start("mixture", labels, generator=generator).cpu(), labels
    half = count // 2
    picked = elsewhere[torch.randint(len(elsewhere), (count - half,), generator=generator)].float() / 255
    return torch.cat([model.sample_start("mixture", labels[:half], generator=generator).cpu(), picked]), labels


def attack(
    model: Classifier, x: Tensor, y: Tensor, epsilon: float, plan: TrainConfig, direction, accelerator
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


def learning_rate(plan: TrainConfig, progress: float) -> float:
    """The rate after the fraction ``progress`` of the training."""
    if plan.schedule == "constant":
        return plan.learning_rate
    if plan.schedule == "steps":
        return plan.learning_rate * 0.1 ** sum(progress >= milestone for milestone in plan.milestones)
    return plan.learning_rate * loop.one_cycle(progress)


def _facts(plan: TrainConfig) -> dict:
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


def split(data: Pictures, plan) -> tuple[Pictures, Pictures]:
    """Pictures held out for the validation figures of each epoch, and the others."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(plan.seed))
    held = min(plan.validation, len(data) // 10)
    return data.subset(order[:held]), data.subset(order[held:])


def _groups(model: nn.Module, plan: TrainConfig) -> list[dict]:
    """Weight decay for convolutions and linear layers, none for biases and batch norm."""
    matrices = [p for p in model.parameters() if p.ndim > 1]
    vectors = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": vectors, "weight_decay": 0}]


def _validate(model: Classifier, data: Pictures, plan: TrainConfig, device) -> dict:
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


def _begin_with(model: Classifier, plan: TrainConfig) -> None:
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
    if "mixture" not in initial.starts:
        raise ValueError(f"initial: expected a checkpoint with a start.safetensors, got {plan.initial}")
    model.start_tensors = initial.start_tensors


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
    parser.add_argument("--initial", help="checkpoint to begin with, instead of the recipe's")
    parser.add_argument("--epsilon", type=float, help="of the attack, instead of the recipe's; its step grows with it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args(arguments)
    try:
        plan = recipe(options.recipe)
        if options.epsilon is not None:
            if not (options.epsilon >= 0 and plan.epsilon):
                raise ValueError(
                    f"epsilon: expected at least 0, of a recipe with an attack, got {options.epsilon:g} for {plan.name}"
                )
            size = plan.attack_step_size * options.epsilon / plan.epsilon
            plan = dataclasses.replace(plan, epsilon=options.epsilon, attack_step_size=size)
        if options.epochs is not None:
            if options.epochs < 1:
                raise ValueError(f"epochs: expected at least 1, got {options.epochs}")
            plan = dataclasses.replace(plan, epochs=options.epochs)
        if options.name is not None:
            plan = dataclasses.replace(plan, name=options.name)
        if options.initial is not None:
            plan = dataclasses.replace(plan, initial=options.initial)
        if options.negatives is not None:
            plan = dataclasses.replace(plan, negatives=options.negatives)
        output = options.output or Path("runs") / plan.name
        limits = {"max_minutes": options.max_minutes, "quiet": options.quiet}
        train(plan, options.data or plan.data, output, names=options.classes, **limits)
    except ValueError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
