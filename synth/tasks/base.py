"""What a task is: declared parameters, and a run that shows itself frame by frame."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

from PIL import Image
from torch import Tensor

from synth import pictures
from synth.classifier import Classifier
from synth.parameters import ClassName, Depth, Int, Mask, Parameter, Picture, sentence
from synth.randomness import Generators
from synth.record import Record

BATCHED = (Picture, Mask, ClassName)
"""Parameters of which a run takes several, one per picture."""


@dataclass(frozen=True)
class Frame:
    """A moment of a run: pictures (N, 3, H, W) in [0, 1], loss (N,), and the start they came from, at their size.

    captions: what each picture is, where they differ in kind; note: what else is to be said of the run so far.
    """

    step: int
    steps: int
    pictures: Tensor
    loss: Tensor
    start: Tensor
    record: Record = field(repr=False)
    captions: tuple[str, ...] = ()
    note: str = ""

    @property
    def settings(self) -> dict:
        """The parameters of the run by name."""
        return self.record.settings

    @property
    def images(self) -> list[Image.Image]:
        return pictures.to_images(self.pictures)

    def save(self, path, zoom: int | None = None) -> None:
        """One PNG of all pictures, its pixels ``zoom`` wide (default: at least 128 a side), settings inside."""
        zoom = zoom or max(1, -(-128 // self.pictures.shape[-1]))
        self.record.save(pictures.sheet(self.pictures, zoom=zoom), path)


class Task(ABC):
    """A use of a robust classifier: ``task(model, **settings)`` runs it, ``task.frames(...)`` shows it happening.

    A subclass in a file of this package declares ``name``, ``title``, ``order``, ``parameters``, ``presets`` and
    ``run``; ``TASKS`` finds it.

    order: its place among the tasks.
    first_setting: the parameters before it say what to do; presets fill in it and those that follow.
    renamed: {old name of a parameter: its name}, for old pictures, links and presets.
    drawn: whether the user draws the picture.
    walks: whether its pictures lead from one to the next.
    shows_target: whether the captions of examples name the class that they turn into, too.
    """

    name: str
    title: str
    order: int
    equation: str
    parameters: dict[str, Parameter]
    presets: dict[str, dict] = {}
    first_setting = "epsilon"
    renamed: dict[str, str] = {}
    drawn = False
    walks = False
    shows_target = False

    @abstractmethod
    def run(
        self, model: Classifier, p: SimpleNamespace, generators: Generators, frame: Callable[..., Frame]
    ) -> Iterator[Frame]:
        """Frames of the start and of every step, for checked parameters ``p`` and the frozen, folded ``model``.

        ``frame`` makes one; it knows the settings.
        """

    @property
    def varies(self) -> bool:
        """Whether another seed gives another picture to look at."""
        return "seed" in self.parameters

    def supports(self, model: Classifier) -> bool:
        """Whether ``model`` has all that the task needs."""
        return True

    def target_class(self, model: Classifier, example: str) -> str:
        """The class to choose beside an example picture of the class ``example``."""
        return model.pairs.get(example, example)

    def default_mask(self, picture: Tensor, generators: Generators) -> Tensor | None:
        """The mask (N or 1, 1, S, S) for ``picture`` (N, 3, S, S) where the user passes none; None for no mask."""
        return None

    def shown_start(self, frame: Frame) -> Tensor:
        """What a result (N, 3, H, W) is shown beside, of its size: what it came from."""
        return frame.start

    def compare(self, frame: Frame, original) -> dict[str, dict[str, float]] | None:
        """{"ours": {"psnr", "ssim"}, baseline: the same} against the original, or None where it is not known.

        original: the picture that the user passed. ValueError if it is no picture.
        """
        return None

    def __init__(self):
        self.__name__, self.__qualname__ = self.name, self.name
        order = [inspect.Parameter("model", inspect.Parameter.POSITIONAL_ONLY, annotation=Classifier)]
        for name, parameter in self.parameters.items():
            default = inspect.Parameter.empty if parameter.required else parameter.default
            order.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        order.append(inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, default="tuned"))
        self.__signature__ = inspect.Signature(order, return_annotation=Frame)
        self.__doc__ = self.describe({})

    def __call__(self, model: Classifier, /, *, callback: Callable[[Frame], object] | None = None, **settings) -> Frame:
        """Run to the end and return the last frame; ``callback`` sees every one. ValueError for bad settings."""
        for frame in self.frames(model, **settings):
            if callback is not None:
                callback(frame)
        return frame

    def frames(self, model: Classifier, /, *, preset: str = "tuned", **settings) -> Generator[Frame, None, None]:
        """Yield a frame for the start and after every step; closing the iterator stops the work.

        Values left out come from the checkpoint's ``preset``, then from the declaration. The model itself
        is not touched: its frozen engine, folded for speed, does the work.
        """
        values = self.check(model, preset=preset, **settings)
        record = Record(self.name, model.source, values | self._readable(values, model))
        engine = model.engine()
        p = SimpleNamespace(**{name: _to(value, engine.device) for name, value in values.items()})
        yield from self.run(engine, p, Generators(values.get("seed", 0)), partial(Frame, record=record))

    def defaults(self, model: Classifier, preset: str = "tuned") -> dict:
        """Every parameter's value before the user changes any: declaration, then ``preset`` of task and checkpoint.

        ValueError for an unknown preset, or one with a value that a user could not choose.
        """
        known = {**self.presets, **model.presets.get(self.name, {})}
        names = list({"tuned": 0} | known)
        if preset not in names:
            raise ValueError(f"preset: expected one of {', '.join(names)}, got {str(preset)[:80]!r}")
        preset_values = self.rename(known.get(preset, {}))
        self._check_known(preset_values)
        for name, value in preset_values.items():  # a checkpoint's are somebody else's
            kind = self.parameters[name]
            check = partial(Int.check, kind) if isinstance(kind, Depth) else kind.check
            check(name, value, model)
        values = {name: parameter.default for name, parameter in self.parameters.items()} | preset_values
        if model.decoder is not None:
            values |= {name: min(values[name], model.decoder.depth) for name in self._depths}
        return values

    def check(self, model: Classifier, *, preset: str = "tuned", **settings) -> dict:
        """All parameters, checked and converted; ValueError for the first that does not fit or is not known.

        Several pictures are a batch (N, 3, S, S); other pictures, masks and classes are then one, or one per picture.
        """
        settings = self.rename(settings)
        self._check_known(settings)
        settings = self.defaults(model, preset) | settings
        values: dict = {}
        # Numbers before pictures: a picture's size may depend on them.
        for name in sorted(self.parameters, key=lambda name: isinstance(self.parameters[name], (Picture, Mask))):
            parameter, value = self.parameters[name], settings[name]
            if value is None and parameter.required:
                raise ValueError(f"{name}: expected {parameter.expected()}, got nothing")
            if isinstance(parameter, Picture):
                values[name] = parameter.check(name, value, model, self.picture_size(model, values))
            elif isinstance(parameter, Mask):
                values[name] = parameter.check(
                    name, value, model, settings["picture"], self.picture_size(model, values)
                )
            else:
                values[name] = parameter.check(name, value, model)
        if "picture" in values:
            count = len(values["picture"])
            for name, value in values.items():
                if isinstance(value, Tensor) and len(value) not in (1, count):
                    raise ValueError(f"{name}: expected one, or one per picture, {count}, got {len(value)}")
        return values

    def _check_known(self, settings: dict) -> None:
        unknown = [name for name in settings if name not in self.parameters]
        if unknown:
            raise ValueError(f"{unknown[0]}: expected a parameter of {self.name}, one of {', '.join(self.parameters)}")

    def rename(self, settings: dict) -> dict:
        """``settings`` under the parameters' current names."""
        return {self.renamed.get(name, name): value for name, value in settings.items()}

    def check_single(self, settings: dict) -> None:
        """ValueError if ``settings`` hold several pictures, masks or classes, for places that take only one."""
        for name, value in settings.items():
            if isinstance(self.parameters.get(name), BATCHED) and isinstance(value, (list, tuple)):
                raise ValueError(f"{name}: expected one, got a list of {len(value)}")

    def picture_size(self, model: Classifier, values: dict) -> int:
        """The side in pixels at which the task wants its picture; 0 for the whole picture as it is."""
        return 0 if values.get("extent") == "whole" else model.image_size

    @property
    def _depths(self) -> list[str]:
        return [name for name, kind in self.parameters.items() if isinstance(kind, Depth)]

    def _readable(self, values: dict, model: Classifier) -> dict:
        return {
            name: [known[index] for index in value.tolist()] if isinstance(value, Tensor) else known[value]
            for name, kind in self.parameters.items()
            if isinstance(kind, ClassName) and (value := values[name]) is not None and (known := kind.names(model))
        }

    def describe(self, defaults: dict) -> str:
        """What the task does, and a line for each parameter with its default, of ``defaults`` or as declared."""
        lines = [inspect.cleandoc(type(self).__doc__ or ""), ""]
        for name, parameter in self.parameters.items():
            default = "" if parameter.required else f" (default {defaults.get(name, parameter.default)})"
            lines.append(f"{name}: {parameter.help} {sentence(parameter.expected())}{default}.")
        return "\n".join(lines)


def _to(value, device):
    return value.to(device) if isinstance(value, Tensor) else value
