"""What decides the weights of a checkpoint, as fields: their types, limits, and how a command sets them."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import get_type_hints

from training.presets import CIFAR10_PAIRS, CIFAR10_PRESETS

CIFAR10 = "uoft-cs/cifar10"
CIFAR10_MEAN, CIFAR10_STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
LEAST = {"epochs": 1, "batch_size": 1, "attack_steps": 1, "image_size": 16, "width": 0.1, "std": 0.01, "clip": 0.001}
"""What the numbers of a recipe must be at least; the others at least 0."""
FIXED = ("presets", "pairs", "base")
"""What a command cannot set."""


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
    phases: tuple[tuple[int, float, int], ...] = ()
    """Parts of the training: side of the pictures, weight of the part, attack steps; none: one part at the final size.

    Epsilon and padding follow the side."""
    batch_size: int = 128
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
    """Pixels by which pictures are padded before they are cropped to their own size again."""
    crop: float = 0
    """Smallest part of a picture's area that random crops show, resized, instead of those after padding; 0 for none."""
    mix: float = 0
    """Part of the pictures that get a rectangle of another one, and a target between the two classes (CutMix)."""
    validation: int = 500
    seed: int = 0
    initial: str = ""
    """Checkpoint to begin with instead of random weights; of another network it lends the tensors that fit."""
    teacher: str = ""
    """Standard classifier whose probabilities for the training pictures are the targets, instead of their labels."""
    freeze_norm: bool = False
    """Keep the statistics of batch norm as they are."""
    energy_steps: int = 0
    """Second stage (``training/energy.py``): the most unit steps that negatives climb; 0 leaves it out."""
    energy_step_size: float = 0.1
    energy_auc: float = 0.75
    """Area under the ROC curve, of real pictures against negatives, above which these climb one step further."""
    negatives: str = ""
    """Data set of other pictures that half of the negatives begin as; "batch": pictures of the training batch, which
    are to change their class; none: all begin as starts of synthesis."""
    presets: dict = field(default_factory=lambda: CIFAR10_PRESETS, repr=False)
    """Settings of the tasks for this checkpoint, by task and preset name; ``config.json`` carries them."""
    pairs: dict = field(default_factory=lambda: CIFAR10_PAIRS, repr=False)
    """Translations worth showing, from class to class; ``config.json`` carries those whose classes the data has."""
    base: str = ""
    """The recipe that this is a change of, "" for a recipe of its own."""

    def __post_init__(self):
        for name, value in asdict(self).items():
            least = LEAST.get(name, 0)
            if not all(isfinite(number) and number >= least for number in _numbers(value)):
                raise ValueError(f"{name}: expected at least {least}, got {value}")
        if max(self.momentum, self.ema, self.label_smoothing) >= 1:
            raise ValueError("momentum, ema and label_smoothing: expected less than 1, got 1 or more")
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"mean and std: expected three numbers each, got {len(self.mean)} and {len(self.std)}")
        for name in ("crop", "mix"):
            if getattr(self, name) > 1:
                raise ValueError(f"{name}: expected at most 1, got {getattr(self, name):g}")
        for side, weight, steps in self.phases:
            if side < LEAST["image_size"] or not weight or not steps:
                least = f"sides of at least {LEAST['image_size']}, weights above 0 and at least one step"
                raise ValueError(f"phases: expected {least}, got {side}:{weight:g}:{steps}")
        if self.schedule not in ("onecycle", "steps", "constant"):
            raise ValueError(f"schedule: expected onecycle, steps or constant, got {self.schedule!r}")
        if self.energy_steps and not self.initial:
            raise ValueError("initial: expected the name of a robust checkpoint for a second stage, got none")

    @property
    def facts(self) -> dict:
        """What a command can set, by name: this decides the weights."""
        return {name: value for name, value in asdict(self).items() if name not in FIXED}

    def source_side(self, epoch: int) -> int:
        """The side at which pictures are read in ``epoch``: crops that are resized begin larger, to stay sharp."""
        side = self.phase(epoch).image_size
        return min(self.image_size, round(1.25 * side)) if self.crop else side

    def phase(self, epoch: int) -> TrainConfig:
        """What holds in ``epoch``, counted from 0."""
        done, total = 0.0, sum(weight for _, weight, _ in self.phases)
        for side, weight, steps in self.phases:
            done += weight
            if (epoch + 0.5) / self.epochs <= done / total:
                return replace(resized(self, side), attack_steps=steps, phases=())
        return self


def _numbers(value) -> list[float]:
    """The numbers of a field."""
    if isinstance(value, tuple):
        return [number for one in value for number in _numbers(one)]
    return [value] if isinstance(value, int | float) else []


def parse(setting: str) -> tuple[str, object]:
    """The field and the value of a ``setting`` "field=value", numbers of a tuple with commas between them.

    ValueError for an unknown field, or for a value of another type.
    """
    name, _, text = setting.partition("=")
    kinds = {field: kind for field, kind in get_type_hints(TrainConfig).items() if field not in FIXED}
    if name not in kinds:
        raise ValueError(f"set: expected FIELD=VALUE with one of {', '.join(kinds)}, got {setting!r}")
    convert, expected = _KINDS[kinds[name]]
    try:
        return name, convert(text)
    except (KeyError, ValueError):
        raise ValueError(f"{name}: expected {expected}, got {text!r}") from None


_KINDS = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    str: (str, "text"),
    bool: ({"true": True, "false": False}.__getitem__, "true or false"),
    tuple[tuple[int, float, int], ...]: (
        lambda text: tuple((int(a), float(b), int(c)) for a, b, c in (part.split(":") for part in text.split(","))),
        "SIDE:WEIGHT:STEPS with commas between them",
    ),
    tuple[float, ...]: (lambda text: tuple(map(float, text.split(","))), "numbers with commas between them"),
}
"""How each type of field is read, and what is expected."""


def text(value) -> str:
    """``value`` as ``parse`` reads it."""
    if not isinstance(value, tuple):
        return str(value)
    return ",".join(":".join(map(str, one)) if isinstance(one, tuple) else str(one) for one in value)


def resized(config: TrainConfig, side: int) -> TrainConfig:
    """``config`` for pictures of another ``side``: distances in L2, and the padding, grow with it."""
    if side < LEAST["image_size"]:
        raise ValueError(f"image_size: expected at least {LEAST['image_size']}, got {side}")
    scale = side / config.image_size
    grow = ("epsilon", "attack_step_size", "energy_step_size")
    lengths = {name: round(getattr(config, name) * scale, 3) for name in grow}
    presets, padding = enlarged(config.presets, scale), round(config.padding * scale)
    return replace(config, image_size=side, padding=padding, presets=presets, **lengths)


def enlarged(presets: dict, scale: float) -> dict:
    """``presets`` for pictures whose side is ``scale`` times as long: distances in L2 grow with the side."""
    if isinstance(presets, dict):
        lengths = {name: round(presets[name] * scale, 3) for name in ("epsilon", "step_size") if name in presets}
        return {name: enlarged(value, scale) for name, value in presets.items()} | lengths
    return presets
