"""A parameter is declared once; the Python function, the command line, the API and the app all read it here."""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from dataclasses import dataclass

from torch import Tensor

from synth import pictures


@dataclass(frozen=True, kw_only=True)
class Parameter(ABC):
    """What every kind shares: one line of help, and whether the app folds it under "more"."""

    help: str
    more: bool = False
    default: object = None
    unit: str = ""

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
        if not self.minimum <= value <= self.maximum:  # false for NaN
            raise _wrong(name, self.expected(), value)
        return float(value)


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
            raise _wrong(name, f"0 to {count - 1}, the units of {model.name}", value)
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
    """One of a few words."""

    default: str
    options: tuple[str, ...]

    def expected(self) -> str:
        return f"one of {', '.join(self.options)}"

    def check(self, name: str, value, model) -> str:
        if _whole(value) and abs(value) < 10**6:  # the factor 4 as well as "4"
            value = str(value)
        if not isinstance(value, str) or value not in self.options:
            raise _wrong(name, self.expected(), value)
        return value


@dataclass(frozen=True, kw_only=True)
class ClassName(Parameter):
    """A class of the checkpoint, by name or index; None, where ``optional``, has the meaning of ``blank``.

    every: whether ``blank`` means all classes, which the app does not begin with where they are many.
    """

    optional: bool = False
    blank: str = ""
    every: bool = False

    def expected(self) -> str:
        return "a class of the checkpoint" + (f", or nothing for {self.blank}" if self.optional else "")

    def names(self, model) -> list[str]:
        """What can be chosen with this checkpoint."""
        return model.classes

    def check(self, name: str, value, model) -> int | None:
        known = self.names(model)
        if self.optional and (value is None or (isinstance(value, str) and not value)):
            return None
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


@dataclass(frozen=True, kw_only=True)
class Twin(Parameter):
    """Another checkpoint to do the same with, by name; None or "" for the model's own twin, if it has one."""

    default: str = ""
    optional: bool = True

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

    shelf: what the app offers to start from: "pictures" of the checkpoint, "others" (the last first) or "styles".
    """

    shelf: str = "pictures"

    def expected(self) -> str:
        return f"a still picture of {pictures.SMALLEST} to {pictures.LARGEST} pixels a side"

    def check(self, name: str, value, model, size: int | None = None) -> Tensor:
        return pictures.to_tensor(pictures.read(value, name), size or model.image_size)


@dataclass(frozen=True, kw_only=True)
class Mask(Parameter):
    """White (or opaque) where the task may change the picture ``of``; same size as that picture."""

    of: str = "picture"
    optional: bool = False
    blank: str = ""

    def expected(self) -> str:
        return f"a mask of the size of {self.of}, not empty" + (
            f", or nothing for {self.blank}" if self.optional else ""
        )

    def check(self, name: str, value, model, like: object = None) -> Tensor | None:
        if value is None and self.optional:
            return None
        mask, image = pictures.read_mask(value, name), pictures.read(like, self.of)
        if mask.size != image.size:
            raise ValueError(
                f"{name}: expected the size of {self.of}, {image.width}x{image.height}, got {mask.width}x{mask.height}"
            )
        mask = pictures.to_mask(mask, model.image_size)
        if not mask.any():
            raise ValueError(f"{name}: expected a mask with at least one white pixel, got an empty one")
        return mask


def seed_parameter() -> Int:
    """The seed that decides everything random."""
    return Int(default=0, minimum=0, maximum=2**31 - 1, help="Same seed, same picture.")


def flag(name: str) -> str:
    """The command-line spelling of a parameter: ``class_name`` becomes ``--class``."""
    return "--" + name.removesuffix("_name").replace("_", "-")


def sentence(text: str) -> str:
    """With a capital first letter, the others as they are."""
    return text[:1].upper() + text[1:]


def _whole(value) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _wrong(name: str, expected: str, value) -> ValueError:
    try:
        shown = repr(value) if isinstance(value, (str, bool)) or value is None else " ".join(str(value).split())
    except ValueError:  # Python writes out no number of more than 4300 digits
        shown = "a huge number"
    return ValueError(f"{name}: expected {expected}, got {shown[:80]}")
