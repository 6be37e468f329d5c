"""One recipe a checkpoint: everything that decides its weights. ``python -m training.train NAME`` runs it."""

from __future__ import annotations

from dataclasses import dataclass, field

CIFAR10 = "uoft-cs/cifar10"
TINY_IMAGENET = "zh-plus/tiny-imagenet"
CIFAR10_PRESETS = {
    "generation": {
        "tuned": {"start": "mixture", "epsilon": 4, "steps": 8, "step_size": 0.625},
        "small steps": {"start": "mixture", "epsilon": 4, "steps": 20, "step_size": 0.25},
        "closest to real": {"start": "mixture", "epsilon": 4, "steps": 20, "step_size": 0.15},
    },
    "inpainting": {
        "tuned": {"epsilon": 1.5, "steps": 20, "step_size": 0.12},
        "bolder": {"epsilon": 4, "steps": 40, "step_size": 0.15},
    },
    "translation": {"tuned": {"epsilon": 6, "steps": 60, "step_size": 0.15}},
    "super_resolution": {"tuned": {"epsilon": 3, "steps": 40, "step_size": 0.1}},
    "sketch": {"tuned": {"epsilon": 6, "steps": 60, "step_size": 0.15}},
    "painting": {"tuned": {"epsilon": 4, "steps": 40, "step_size": 0.12}},
    "maximisation": {"tuned": {"epsilon": 12, "steps": 80, "step_size": 0.25}},
}
"""Chosen by looking at the slim robust checkpoint's sheets and by ``training.sweep``; the paper's are with tasks."""
DUAL_PRESETS = CIFAR10_PRESETS | {
    "generation": {
        "tuned": {"start": "gaussian", "epsilon": 8, "steps": 8, "step_size": 0.625},
        "small steps": {"start": "gaussian", "epsilon": 8, "steps": 20, "step_size": 0.25},
    },
    "super_resolution": {
        "tuned": {"epsilon": 3, "steps": 25, "step_size": 0.15, "consistency": "none"},
        "true to the input": {"epsilon": 3, "steps": 40, "step_size": 0.1},
    },
    "painting": {"tuned": {"unit": 186, "epsilon": 4, "steps": 40, "step_size": 0.12}},
}
"""As above, for the slim checkpoint of the second stage, whose unit 186 is a frog's skin."""
CIFAR10_PAIRS = {
    "horse": "deer",
    "airplane": "bird",
    "automobile": "truck",
    "bird": "airplane",
    "cat": "dog",
    "deer": "horse",
    "dog": "cat",
    "frog": "bird",
    "ship": "airplane",
    "truck": "automobile",
}
"""Classes of like shape, for translations that work at once; every task does well on the first."""
TINY64_PAIRS = {
    "lion": "cougar",
    "cougar": "lion",
    "monarch": "sulphur butterfly",
    "lemon": "orange",
    "orange": "lemon",
    "tabby": "golden retriever",
    "golden retriever": "tabby",
    "sulphur butterfly": "monarch",
    "alp": "seashore",
    "seashore": "alp",
    "ox": "bison",
    "bison": "ox",
    "school bus": "police van",
    "police van": "school bus",
}
_SMOOTH = {"jitter": 4, "smoothing": 1}
TINY64_PRESETS = {
    "generation": {
        "tuned": {"start": "mixture", "epsilon": 20, "steps": 20, "step_size": 1.2, **_SMOOTH},
        "small steps": {"start": "mixture", "epsilon": 20, "steps": 40, "step_size": 0.6, **_SMOOTH},
        "fast": {"start": "mixture", "epsilon": 30, "steps": 6, "step_size": 5, "jitter": 0},
        "softer": {"start": "mixture", "epsilon": 15, "steps": 30, "step_size": 0.5, **_SMOOTH},
        "bolder": {"start": "mixture", "epsilon": 25, "steps": 50, "step_size": 0.7, **_SMOOTH},
    },
    "inpainting": {"tuned": {"epsilon": 3, "steps": 30, "step_size": 0.15, **_SMOOTH}},
    "translation": {"tuned": {"epsilon": 16, "steps": 60, "step_size": 0.4, **_SMOOTH}},
    "super_resolution": {"tuned": {"epsilon": 6, "steps": 40, "step_size": 0.2, "consistency": "none", **_SMOOTH}},
    "sketch": {"tuned": {"epsilon": 20, "steps": 60, "step_size": 0.5, "texture": 0.02, **_SMOOTH}},
    "painting": {"tuned": {"unit": 193, "epsilon": 14, "steps": 60, "step_size": 0.4, **_SMOOTH}},
    "maximisation": {"tuned": {"epsilon": 24, "steps": 80, "step_size": 0.5, **_SMOOTH}},
}
"""Chosen by looking at the 64-pixel checkpoint's sheets, whose stem has stride 2; smoothed."""
TINY64_MEAN, TINY64_STD = (0.4733, 0.4484, 0.3835), (0.2639, 0.2513, 0.2669)
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)


@dataclass(frozen=True)
class TrainConfig:
    """How to train one checkpoint; sizes in pixels, epsilon and step size in L2 over [0, 1] pixels."""

    name: str
    architecture: str = "resnet18"
    width: float = 1
    data: str = CIFAR10
    subset: str = ""
    """File of the classes to keep, where the data set has more."""
    image_size: int = 32
    mean: tuple[float, ...] = CIFAR10_MEAN
    std: tuple[float, ...] = CIFAR10_STD
    epsilon: float = 0.5
    """Radius of the L2 ball that the training examples are attacked in; 0 trains a standard classifier."""
    attack_steps: int = 7
    attack_step_size: float = 0.1
    attack_start: float = 0
    """Radius of the attack's random start, as a fraction of epsilon; 0 starts from the picture."""
    epsilon_warmup: float = 0
    """Fraction of the training over which epsilon grows from 0."""
    epochs: int = 60
    batch_size: int = 128
    accumulate: int = 1
    schedule: str = "onecycle"
    """"onecycle": linear warm-up over a fifth, linear decay; "steps": a tenth from each milestone on; "constant"."""
    learning_rate: float = 0.1
    milestones: tuple[float, ...] = (0.5, 0.75)
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0
    clip: float = 1
    ema: float = 0.999
    padding: int = 4
    validation: int = 500
    seed: int = 0
    initial: str = ""
    """Checkpoint to begin with instead of random weights; of another network it lends the tensors that fit."""
    freeze_norm: bool = False
    """Keep the statistics of batch norm as they are."""
    energy_steps: int = 0
    """Second stage (``training/energy.py``): the most unit steps that negatives climb; 0 leaves it out."""
    energy_step_size: float = 0.1
    energy_auc: float = 0.75
    """How well real pictures must be told from negatives (area under the ROC curve) before these climb further."""
    negatives: str = ""
    """Data set of other pictures that half of the negatives begin as; none: all begin as starts of synthesis."""
    presets: dict = field(default_factory=lambda: CIFAR10_PRESETS, repr=False)
    """Settings of the tasks for this checkpoint, by task and preset name; ``config.json`` carries them."""
    pairs: dict = field(default_factory=lambda: CIFAR10_PAIRS, repr=False)
    """Translations worth showing, from class to class; ``config.json`` carries those whose classes the data has."""

    def __post_init__(self):
        if self.schedule not in ("onecycle", "steps", "constant"):
            raise ValueError(f"schedule: expected onecycle, steps or constant, got {self.schedule!r}")
        if self.energy_steps and not self.initial:
            raise ValueError("initial: expected the name of a robust checkpoint for a second stage, got none")


_SLIM = dict(
    width=0.5,
    attack_steps=1,
    epochs=33,
    learning_rate=0.2,
    padding=2,
)

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

_DUAL = dict(
    schedule="constant",
    learning_rate=0.001,
    freeze_norm=True,
    energy_steps=40,
)

# What each reached is in checkpoints/README.md, together with those that have not been trained yet.
RECIPES = {
    recipe.name: recipe
    for recipe in (
        TrainConfig(
            "cifar10-resnet18-slim-l2",
            epsilon=0.6,
            attack_step_size=0.6,
            attack_start=0.5,
            epsilon_warmup=0.2,
            **_SLIM,
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
            **_TINY64 | _DUAL | {"epsilon": 1.0, "attack_steps": 3, "attack_step_size": 0.5, "epochs": 3},
            batch_size=64,
            energy_step_size=0.2,
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
            "cifar10-judge",
            width=0.375,
            epsilon=0,
            epochs=10,
            learning_rate=0.2,
            label_smoothing=0.05,
            seed=1,
            presets={},
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
            "cifar10-mobilenetv2-l2",
            architecture="mobilenet_v2",
            epsilon=0.6,
            attack_step_size=0.6,
            attack_start=0.5,
            epsilon_warmup=0.2,
            **_SLIM | {"width": 1, "learning_rate": 0.1},
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


def recipe(name: str) -> TrainConfig:
    """The recipe called ``name``; ValueError that lists the known ones."""
    if name not in RECIPES:
        raise ValueError(f"recipe: expected one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]
