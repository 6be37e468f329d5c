"""One recipe a checkpoint: everything that decides its weights. ``python -m training.train NAME`` runs it."""

from __future__ import annotations

import shlex
from dataclasses import asdict, replace

from training.config import FIXED, TrainConfig, resized, text
from training.presets import (
    DUAL_PRESETS,
    IMAGENET20_DUAL_PRESETS,
    IMAGENET20_PAIRS,
    IMAGENET20_PRESETS,
    TINY64_PAIRS,
    TINY64_PRESETS,
)

TINY_IMAGENET = "zh-plus/tiny-imagenet"
TINY64_MEAN, TINY64_STD = (0.4733, 0.4484, 0.3835), (0.2639, 0.2513, 0.2669)


_SLIM = dict(width=0.5, attack_steps=1, epochs=33, learning_rate=0.2, padding=2)
_SLIM_ROBUST = _SLIM | dict(epsilon=0.6, attack_step_size=0.6, attack_start=0.5, epsilon_warmup=0.2)
_TINY64 = dict(
    data=TINY_IMAGENET,
    subset="restricted_tiny_imagenet.json",
    width=0.5,
    image_size=64,
    mean=TINY64_MEAN,
    std=TINY64_STD,
    epochs=18,
    learning_rate=0.1,
    label_smoothing=0.05,
    padding=6,
    presets=TINY64_PRESETS,
    pairs=TINY64_PAIRS,
)
_TINY64_ROBUST = dict(epsilon=1.0, attack_steps=1, attack_step_size=1.0, attack_start=0.5, epsilon_warmup=0.1)
_IMAGENET20 = dict(
    subset="imagenette_woof.json",
    data="imagenette-woof",
    width=0.5,
    image_size=224,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    learning_rate=0.1,
    label_smoothing=0.05,
    padding=21,
    crop=0.4,
    presets=IMAGENET20_PRESETS,
    pairs=IMAGENET20_PAIRS,
)
_IMAGENET20_ROBUST = _IMAGENET20 | dict(epsilon=3.0, attack_steps=1, attack_step_size=3.0, attack_start=0.5)
_DUAL = dict(schedule="constant", learning_rate=0.001, freeze_norm=True, energy_steps=40)

# What each reached is in checkpoints/README.md, together with those that have not been trained yet.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        TrainConfig("cifar10-resnet18-slim-l2", **_SLIM_ROBUST),
        TrainConfig(
            "cifar10-resnet18-quarter-l2",
            initial="cifar10-resnet18-slim-l2",
            **_SLIM_ROBUST | {"width": 0.25, "epochs": 5},
        ),
        TrainConfig("cifar10-resnet18-slim-standard", epsilon=0, **_SLIM),
        TrainConfig(
            "cifar10-resnet18-slim-l2-dual",
            width=0.5,
            initial="cifar10-resnet18-slim-l2",
            attack_steps=3,
            attack_step_size=0.25,
            epochs=1,
            batch_size=64,
            padding=2,
            negatives=TINY_IMAGENET,
            presets=DUAL_PRESETS,
            **_DUAL,
        ),
        TrainConfig("tiny64-resnet18-slim-l2-one-step", initial="cifar10-resnet18-slim-l2", **_TINY64 | _TINY64_ROBUST),
        TrainConfig(
            "tiny64-resnet18-slim-l2",
            initial="tiny64-resnet18-slim-l2-one-step",
            **_TINY64
            | {"epsilon": 1.2, "attack_steps": 2, "attack_step_size": 0.8, "attack_start": 0.5}
            | {"epochs": 6, "learning_rate": 0.05},
        ),
        TrainConfig("tiny64-resnet18-l2", **_TINY64 | _TINY64_ROBUST | {"width": 1, "epochs": 60, "attack_steps": 3}),
        TrainConfig("tiny64-all-resnet18-l2", **_TINY64 | _TINY64_ROBUST | {"width": 1, "epochs": 60, "subset": ""}),
        TrainConfig(
            "tiny64-resnet18-slim-standard",
            initial="cifar10-resnet18-slim-standard",
            epsilon=0,
            **_TINY64 | {"epochs": 4},
        ),
        TrainConfig(
            "tiny64-resnet18-slim-l2-dual",
            initial="tiny64-resnet18-slim-l2",
            negatives="batch",
            energy_step_size=0.6,
            **_TINY64
            | _TINY64_ROBUST
            | _DUAL
            | {"epsilon_warmup": 0, "label_smoothing": 0, "energy_steps": 15, "batch_size": 32, "epochs": 6},
        ),
        TrainConfig(
            "tiny64-judge",
            epsilon=0,
            seed=1,
            **_TINY64 | {"width": 0.375, "epochs": 10, "learning_rate": 0.2, "presets": {}},
        ),
        TrainConfig(
            "two-domains-l2",
            initial="tiny64-resnet18-slim-l2",
            **_TINY64
            | _TINY64_ROBUST
            | {"data": "huggan/horse2zebra", "subset": "", "epochs": 20, "learning_rate": 0.02},
            batch_size=64,
        ),
        TrainConfig(
            "folder",
            initial="tiny64-resnet18-slim-l2",
            **_TINY64 | _TINY64_ROBUST | {"data": "", "subset": "", "epochs": 20, "learning_rate": 0.02, "pairs": {}},
            batch_size=64,
        ),
        TrainConfig(
            "cifar10-judge",
            width=0.375,
            epsilon=0,
            epochs=10,
            learning_rate=0.2,
            label_smoothing=0.05,
            seed=1,
            presets={},
        ),
        TrainConfig(
            "imagenet20-resnet18-slim-l2-first",
            architecture="resnet18+convstem+silu",
            initial="tiny64-resnet18-slim-l2",
            epsilon_warmup=0.1,
            **_IMAGENET20_ROBUST
            | {"epochs": 42, "phases": ((112, 30, 1), (160, 7, 1), (224, 2, 1), (112, 1, 1), (160, 1, 1), (224, 1, 1))},
        ),
        TrainConfig(
            "imagenet20-resnet18-slim-l2",
            architecture="resnet18+convstem+silu",
            initial="imagenet20-resnet18-slim-l2-first",
            **_IMAGENET20_ROBUST
            | {"mix": 0.5, "learning_rate": 0.05, "epochs": 15, "phases": ((112, 10, 1), (160, 3, 1), (224, 2, 1))},
        ),
        TrainConfig(
            "imagenet20-resnet18-slim-l2-dual",
            architecture="resnet18+convstem+silu",
            initial="imagenet20-resnet18-slim-l2",
            negatives="batch",
            energy_step_size=2,
            **_IMAGENET20_ROBUST
            | _DUAL
            | {"mix": 0.5, "label_smoothing": 0, "energy_steps": 15, "batch_size": 32}
            | {"epochs": 7, "phases": ((112, 6, 1), (224, 1, 1)), "presets": IMAGENET20_DUAL_PRESETS},
        ),
        TrainConfig(
            "imagenet20-resnet18-slim-standard",
            architecture="resnet18+convstem+silu",
            initial="tiny64-resnet18-slim-standard",
            epsilon=0,
            **_IMAGENET20 | {"epochs": 14, "phases": ((112, 10, 1), (160, 3, 1), (224, 1, 1))},
        ),
        TrainConfig(
            "imagenet20-judge",
            architecture="mobilenet_v2",
            initial="cifar10-mobilenetv2-l2-first",
            epsilon=0,
            seed=1,
            **_IMAGENET20
            | {
                "width": 1,
                "epochs": 17,
                "phases": ((112, 12, 1), (160, 4, 1), (224, 1, 1)),
                "presets": {},
                "pairs": {},
            },
        ),
        TrainConfig("cifar10-resnet18-l2"),
        TrainConfig(
            "cifar10-resnet18-l2-dual",
            initial="cifar10-resnet18-l2",
            attack_steps=10,
            attack_step_size=0.1,
            epochs=30,
            negatives=TINY_IMAGENET,
            presets=DUAL_PRESETS,
            **_DUAL,
        ),
        TrainConfig("cifar10-resnet18-standard", epsilon=0),
        TrainConfig(
            "cifar10-mobilenetv2-l2-first",
            architecture="mobilenet_v2",
            **_SLIM_ROBUST | {"width": 1, "learning_rate": 0.1, "epochs": 12},
        ),
        TrainConfig(
            "cifar10-mobilenetv2-l2",
            architecture="mobilenet_v2",
            initial="cifar10-mobilenetv2-l2-first",
            **_SLIM_ROBUST | {"width": 1, "learning_rate": 0.08, "epochs": 14, "epsilon_warmup": 0},
        ),
        TrainConfig("cifar10-mobilenetv2-standard", architecture="mobilenet_v2", epsilon=0),
        TrainConfig(
            "cifar10-resnet50-l2",
            architecture="resnet50",
            epochs=350,
            batch_size=256,
            schedule="steps",
            learning_rate=0.01,
            milestones=(150 / 350, 250 / 350),
            ema=0,
        ),
        TrainConfig("cifar10-resnet50-standard", architecture="resnet50", epsilon=0),
    )
}


def recipe(name: str, /, **changes) -> TrainConfig:
    """The recipe called ``name`` with ``changes`` of its fields.

    What is not among the changes follows them: epsilon, padding and the presets the image size, and the step size of
    the attack its epsilon. ValueError for an unknown name, or for a value that does not fit.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    config = RECIPES[name]
    if "image_size" in changes:
        config = resized(config, changes["image_size"])
    if "epsilon" in changes:
        epsilon = changes["epsilon"]
        if epsilon and not config.epsilon:
            raise ValueError(f"epsilon: expected a recipe with an attack, got {epsilon:g} for {name}")
        size = config.attack_step_size * (epsilon / config.epsilon if epsilon else 1)
        changes = {"attack_step_size": size} | changes
    return replace(config, **changes, base=name)


def command(config: TrainConfig) -> str:
    """What trains ``config``: the recipe that it is a change of, and every field that differs from that."""
    own, base = asdict(config), asdict(RECIPES.get(config.base or config.name, config))
    changed = {name: own[name] for name in own if name not in FIXED and own[name] != base[name]}
    settings = (f"--set {shlex.quote(f'{name}={text(value)}')}" for name, value in changed.items())
    source = [] if "/" in config.data else ["--data FOLDER"]
    return " ".join(["python -m training.train", config.base or config.name, *source, *settings])
