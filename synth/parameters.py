"""A parameter is declared once; the Python function, the command line, the API and the app all read it here.

Pictures, masks and classes may be several: then each is that of one picture of a batch.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from synth import pictures


@dataclass(frozen=True, kw_only=True)
class Parameter(ABC):
    """What every kind shares.

    help: one line for the app and the command line.
    more: whether the app folds it under "more".
    optional: whether None stands for something else.
    unit: of a number, such as pixels.
    """

    help: str
    more: bool = False
    default: object = None
    optional: bool = False
    unit: str = ""

    @property
    def required(self) -> bool:
        """Whether a run needs the caller to pass this parameter."""
        return self.default is None and not self.optional

    @abstractmethod
    def check(self, name: str, value, model):
        """The value as the task uses it; ValueError ``name: expected ..., got ...`` if it does not fit."""

    @abstractmethod
    def expected(self) -> str:
        """What is accepted, in words: bounds and unit, or the options."""


@dataclass(frozen=True, kw_only=True)
class Float(Parameter):
    """A real number from ``minimum`` to ``maximum``."""

    default: float
    minimum: float
    maximum: float
    step: float = 0.01

    def expected(self) -> str:
        return f"{self.minimum:.10g} to {self.maximum:.10g} {self.unit}".strip()

    def check(self, name: str, value, model) -> float:
        if isinstance(value, bool) or not isinstance(value, numbers.Real):
            raise _wrong(name, f"a number from {self.expected()}", value)
        number: Any = value
        if not self.minimum <= number <= self.maximum:  # false for NaN
            raise _wrong(name, self.expected(), value)
        return float(number)


@dataclass(frozen=True, kw_only=True)
class Int(Float):
    """A whole number from ``minimum`` to ``maximum``."""

    default: int
    step: int = 1

    def check(self, name: str, value, model) -> int:
        value = super().check(name, value, model)
        if value != int(value):
            raise _wrong(name, f"a whole number from {self.expected()}", value)
        return int(value)


@dataclass(frozen=True, kw_only=True)
class FeatureIndex(Int):
    """The index of a component of the representation."""

    default: int = 0
    minimum: int = 0
    maximum: int = 2047

    def check(self, name: str, value, model) -> int:
        value, count = super().check(name, value, model), model.head.in_features
        if value >= count:
            raise _wrong(name, f"0 to {count - 1}, the features of {model.name}", value)
        return value


@dataclass(frozen=True, kw_only=True)
class Depth(Int):
    """How many of the encoder's stages are inverted."""

    default: int = 3
    minimum: int = 1
    maximum: int = 5
    unit: str = "stages"

    def check(self, name: str, value, model) -> int:
        value = super().check(name, value, model)
        if model.decoder is not None and value > model.decoder.depth:
            raise _wrong(name, f"1 to {model.decoder.depth}, the stages that {model.name} can decode", value)
        return value


@dataclass(frozen=True, kw_only=True)
class Choice(Parameter):
    """One of a few words or whole numbers; "4" is accepted for the number 4."""

    default: str | int
    options: tuple[str | int, ...]

    def expected(self) -> str:
        return f"one of {', '.join(map(str, self.options))}"

    def check(self, name: str, value, model) -> str | int:
        for option in self.options:
            if (isinstance(value, str) and value == str(option)) or (_whole(value) and value == option):
                return option
        raise _wrong(name, self.expected(), value)


@dataclass(frozen=True, kw_only=True)
class ClassName(Parameter):
    """A class of the checkpoint, by name or index; None, where ``optional``, has the meaning of ``blank``.

    A list or a tensor (N,) of classes gives a tensor (N,) of indices.

    every: whether ``blank`` means all classes, which the app does not begin with where they are many.
    """

    blank: str = ""
    every: bool = False

    def expected(self) -> str:
        return "a class of the checkpoint" + (f", or nothing for {self.blank}" if self.optional else "")

    def names(self, model) -> list[str]:
        """What can be chosen with this checkpoint."""
        return model.classes

    def check(self, name: str, value, model) -> int | Tensor | None:
        value = value.tolist() if isinstance(value, Tensor) and value.ndim == 1 else value
        if isinstance(value, (list, tuple)) and value:
            return torch.tensor([self.index(name, one, model) for one in value])
        return None if self.optional and _blank(value) else self.index(name, value, model)

    def index(self, name: str, value, model) -> int:
        """The index of one class; ValueError if there is no such class."""
        known = self.names(model)
        if isinstance(value, str) and value in known:
            return known.index(value)
        if isinstance(value, str) and value.isdecimal() and len(value) < 7:
            value = int(value)
        if _whole(value) and 0 <= value < len(known):
            return int(value)
        shown = ", ".join(known[:12]) + (", ..." if len(known) > 12 else "")
        raise _wrong(name, f"one of {shown}" if known else f"nothing, since {model.name} knows none", value)


@dataclass(frozen=True, kw_only=True)
class Normal(ClassName):
    """What counts as normal, by name or index: pictures on which a decoder of the checkpoint was trained alone."""

    optional: bool = True
    blank: str = "all that the decoder was trained on"

    def expected(self) -> str:
        return f"a name that the checkpoint has such a decoder for, or nothing for {self.blank}"

    def names(self, model) -> list[str]:
        return [name for name in model.decoders if name]

    def check(self, name: str, value, model) -> int | None:
        return None if _blank(value) else self.index(name, value, model)


@dataclass(frozen=True, kw_only=True)
class Twin(Parameter):
    """Another checkpoint to do the same with, by name; None or "" for the model's own twin, if it has one."""

    default: str = ""

    def expected(self) -> str:
        return 'a checkpoint, nothing for the standard one beside it, or "none"'

    def check(self, name: str, value, model) -> str:
        if value is None:
            return ""
        if not isinstance(value, str) or len(value) > 200:
            raise _wrong(name, self.expected(), value)
        return value


@dataclass(frozen=True, kw_only=True)
class Picture(Parameter):
    """A picture: PIL image, path, array (H, W, 3) or tensor (3, H, W); cropped to a square and resized to fit.

    A list of these, an array (N, H, W, 3) or a tensor (N, 3, H, W) gives a batch (N, 3, S, S).

    shelf: what the app offers to start from: "pictures" of the checkpoint, "others" (the last first), "noisy" ones or
    "styles".
    """

    shelf: str = "pictures"

    def expected(self) -> str:
        return f"a still picture of {pictures.SMALLEST} to {pictures.LARGEST} pixels a side"

    def check(self, name: str, value, model, size: int | None = None) -> Tensor:
        """At ``size`` pixels a side, None for the model's; 0: one picture, as large and of the shape that it is."""
        images = pictures.read_all(value, name)
        if size == 0 and len(images) > 1:
            raise ValueError(f"{name}: expected one picture where the whole of it is worked on, got {len(images)}")
        if size == 0 and (pixels := images[0].width * images[0].height) > pictures.MOST_PIXELS:
            most = f"at most {pictures.MOST_PIXELS:,} pixels where the whole picture is worked on"
            raise ValueError(f"{name}: expected {most}, got {pixels:,}")
        return pictures.to_tensor(images, model.image_size if size is None else size)


@dataclass(frozen=True, kw_only=True)
class Mask(Parameter):
    """White (or opaque) where the task may change the picture; same size as the picture.

    One for all pictures, or one for each of them; None has the meaning of ``blank``.
    """

    optional: bool = True
    blank: str = ""

    def expected(self) -> str:
        return f"a mask of the size of picture, not empty, or nothing for {self.blank}"

    def check(self, name: str, value, model, picture: object = None, size: int | None = None) -> Tensor | None:
        if value is None:
            return None
        images, masks = pictures.read_all(picture, "picture"), pictures.read_all(value, name, pictures.read_mask)
        for index, image in enumerate(images):
            mask = masks[index % len(masks)]
            if mask.size != image.size:
                shape = f"{image.width}x{image.height}"
                raise ValueError(f"{name}: expected the size of picture, {shape}, got {mask.width}x{mask.height}")
        side = model.image_size if size is None else size
        batch = torch.cat([pictures.to_mask(mask, side) for mask in masks])
        if not batch.flatten(1).any(1).all():
            raise ValueError(f"{name}: expected a mask with at least one white pixel, got an empty one")
        return batch


def seed_parameter() -> Int:
    """The seed that decides everything random."""
    return Int(default=0, minimum=0, maximum=2**31 - 1, help="Same seed, same picture.")


def flag(name: str) -> str:
    """The command-line spelling of a parameter: ``class_name`` becomes ``--class``."""
    return "--" + name.removesuffix("_name").replace("_", "-")


def sentence(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def _blank(value) -> bool:
    return value is None or (isinstance(value, str) and not value)


def _whole(value) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _wrong(name: str, expected: str, value) -> ValueError:
    try:
        shown = repr(value) if isinstance(value, (str, bool)) or value is None else " ".join(str(value).split())
    except ValueError:  # Python writes out no number of more than 4300 digits
        shown = "a huge number"
    return ValueError(f"{name}: expected {expected}, got {shown[:80]}")
