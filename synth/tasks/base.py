"""What a task is: declared parameters, and a problem to hand to the one loop."""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace

import torch
from PIL import Image
from torch import Tensor

from synth import pictures
from synth.classifier import RobustClassifier
from synth.constraints import L2, Constraint
from synth.multiscale import REACH, at_both_sizes, enlarged, factors
from synth.objectives import Objective, cross_entropy, jittered, logit, smoothed
from synth.parameters import Choice, ClassName, Float, Int, Mask, Parameter, Picture, seed_parameter, sentence
from synth.pgd import cosine, iterate
from synth.randomness import Generators
from synth.version import VERSION


@dataclass(frozen=True)
class Problem:
    """Descend ``loss`` from ``start`` (N, 3, H, W) within ``constraint`` around ``center`` (``start`` if None)."""

    loss: Objective
    start: Tensor
    constraint: Constraint
    center: Tensor | None = None


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
    settings: dict = field(repr=False)
    captions: tuple[str, ...] = ()
    note: str = ""

    @property
    def images(self) -> list[Image.Image]:
        return pictures.to_images(self.pictures)

    def save(self, path, zoom: int | None = None) -> None:
        """One PNG of all pictures, its pixels ``zoom`` wide (default: at least 128 a side), settings inside."""
        zoom = zoom or max(1, -(-128 // self.pictures.shape[-1]))
        pictures.save(pictures.sheet(self.pictures, zoom=zoom), path, self.settings)


class Task(ABC):
    """A use of a robust classifier: ``task(model, **settings)`` runs it, ``task.frames(...)`` shows it happening.

    A subclass declares ``name``, ``title``, ``parameters``, ``presets`` and ``run``, and is listed in ``TASKS``.
    ``first_setting``: the parameters before it say what to do; presets fill in it and those that follow.
    """

    name: str
    title: str
    equation: str
    parameters: dict[str, Parameter]
    presets: dict[str, dict] = {}
    first_setting = "epsilon"

    @abstractmethod
    def run(
        self, model: RobustClassifier, p: SimpleNamespace, generators: Generators, frame: Callable[..., Frame]
    ) -> Iterator[Frame]:
        """Frames of the start and of every step, for checked parameters ``p`` and the frozen, folded ``model``.

        ``frame`` makes one; it knows the settings.
        """

    def __init__(self):
        self.__name__, self.__qualname__ = self.name, self.name
        order = [inspect.Parameter("model", inspect.Parameter.POSITIONAL_ONLY, annotation=RobustClassifier)]
        for name, parameter in self.parameters.items():
            required = is_required(parameter)
            default = inspect.Parameter.empty if required else parameter.default
            order.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
        order.append(inspect.Parameter("preset", inspect.Parameter.KEYWORD_ONLY, default="tuned"))
        self.__signature__ = inspect.Signature(order, return_annotation=Frame)
        self.__doc__ = inspect.cleandoc(type(self).__doc__) + "\n\n" + "\n".join(self._lines())

    def __call__(
        self, model: RobustClassifier, /, *, callback: Callable[[Frame], object] | None = None, **settings
    ) -> Frame:
        """Run to the end and return the last frame; ``callback`` sees every one. ValueError for bad settings."""
        for frame in self.frames(model, **settings):
            if callback is not None:
                callback(frame)
        return frame

    def frames(self, model: RobustClassifier, /, *, preset: str = "tuned", **settings) -> Iterator[Frame]:
        """Yield a frame for the start and after every step; closing the iterator stops the work.

        Values that are not given come from the checkpoint's ``preset``, then from the declaration. The model itself
        is not touched: a frozen copy, folded for speed, does the work.
        """
        values = self.check(model, preset=preset, **settings)
        record = {
            "task": self.name,
            "checkpoint": model.source,
            "version": VERSION,
            "settings": {**values, **self._readable(values, model)},
        }
        engine = model.for_synthesis()
        p = SimpleNamespace(**{name: _to(value, engine.device) for name, value in values.items()})
        yield from self.run(engine, p, Generators(values.get("seed", 0)), partial(Frame, settings=record))

    def defaults(self, model: RobustClassifier, preset: str = "tuned") -> dict:
        """Every parameter's value before the user changes any: declaration, then ``preset`` of task and checkpoint."""
        known = {**self.presets, **model.presets.get(self.name, {})}
        names = list({"tuned": 0} | known)
        if preset not in names:
            raise ValueError(f"preset: expected one of {', '.join(names)}, got {str(preset)[:80]!r}")
        values = {name: parameter.default for name, parameter in self.parameters.items()}
        return values | known.get(preset, {})

    def check(self, model: RobustClassifier, *, preset: str = "tuned", **settings) -> dict:
        """All parameters, checked and converted; ValueError for the first that does not fit or is not known."""
        unknown = [name for name in settings if name not in self.parameters]
        if unknown:
            raise ValueError(f"{unknown[0]}: expected a parameter of {self.name}, one of {', '.join(self.parameters)}")
        given = self.defaults(model, preset) | settings
        values = {}
        # Numbers before pictures: a picture's size may depend on them.
        for name in sorted(self.parameters, key=lambda name: isinstance(self.parameters[name], (Picture, Mask))):
            parameter, value = self.parameters[name], given[name]
            if value is None and is_required(parameter):
                raise ValueError(f"{name}: expected {parameter.expected()}, got nothing")
            if isinstance(parameter, Picture):
                values[name] = parameter.check(name, value, model, self.picture_size(model, values))
            elif isinstance(parameter, Mask):
                values[name] = parameter.check(name, value, model, given[parameter.of])
            else:
                values[name] = parameter.check(name, value, model)
        return values

    def picture_size(self, model: RobustClassifier, values: dict) -> int:
        """The side in pixels at which the task wants its picture."""
        return model.image_size

    def _readable(self, values: dict, model: RobustClassifier) -> dict:
        kinds = self.parameters.items()
        return {
            name: kind.names(model)[values[name]]
            for name, kind in kinds
            if isinstance(kind, ClassName) and values[name] is not None
        }

    def _lines(self) -> Iterator[str]:
        for name, parameter in self.parameters.items():
            default = "" if is_required(parameter) else f" (default {parameter.default})"
            yield f"{name}: {parameter.help} {sentence(parameter.expected())}{default}."


class Synthesis(Task):
    """Projected gradient descent on a ``problem``, which is all that most tasks declare."""

    @abstractmethod
    def problem(self, model: RobustClassifier, p: SimpleNamespace, generators: Generators) -> Problem:
        """What to optimise, for checked parameters ``p`` and the frozen, folded ``model``."""

    def run(self, model, p, generators, frame):
        yield from self.descend(self.problem(model, p, generators), p, generators, frame)

    def descend(self, problem: Problem, p: SimpleNamespace, generators: Generators, frame, *, start=None, before=0):
        """The frames of ``problem``; where ``size`` asks for more, half as many steps follow each doubling.

        start: what the pictures came from, the problem's start if None; before: steps that were shown already.
        """
        x, start = problem.start, problem.start if start is None else start
        counts = steps_at_each_size(p)
        done, total = before, before + sum(counts.values())
        if not before:
            with torch.no_grad():
                loss = problem.loss(start)
            yield frame(0, total, start, loss, start)
        for factor, steps in counts.items():
            stage, step_size = problem, cosine(p.step_size) if p.schedule == "cosine" else p.step_size
            if factor > 1:
                stage, step_size = larger(problem, x, factor, p.epsilon), cosine(factor * p.step_size)
                start = enlarged(start, 2)
            run = iterate(
                stage.loss,
                stage.start,
                stage.constraint,
                center=stage.center,
                steps=steps,
                step_size=step_size,
                momentum=p.momentum,
                noise=p.noise,
                generator=generators,
            )
            for state in run:
                x = state.pictures
                yield frame(done + state.step, total, x, state.loss, start)
            done += steps


def is_required(parameter: Parameter) -> bool:
    """Whether a run needs the caller to give this parameter."""
    return parameter.default is None and not getattr(parameter, "optional", False)


def steps_at_each_size(p: SimpleNamespace) -> dict[int, int]:
    """How many steps are taken at each multiple of the checkpoint's own size."""
    return {factor: p.steps if factor == 1 else -(-p.steps // 2) for factor in factors(getattr(p, "size", "1"))}


def larger(native: Problem, x: Tensor, factor: int, epsilon: float) -> Problem:
    """The next stage of ``native``: from ``x`` enlarged to ``factor`` times its size, a part as far a pixel."""
    loss = at_both_sizes(native.loss, native.start.shape[-1])
    return Problem(loss, enlarged(x, 2), L2(REACH * factor * epsilon))


def optimisation(*, epsilon: float, steps: int, step_size: float, largest: float = 100) -> dict[str, Parameter]:
    """The parameters that every task shares, with a task's own defaults for 32-pixel pictures."""
    return {
        "epsilon": Float(
            default=epsilon,
            minimum=0.01,
            maximum=largest,
            step=0.1,
            unit="L2",
            help="How far the picture may move from its start.",
        ),
        "steps": Int(default=steps, minimum=1, maximum=1000, help="How many gradient steps to take."),
        "step_size": Float(
            default=step_size, minimum=0.001, maximum=10, step=0.01, unit="L2", help="Length of each step."
        ),
        "schedule": Choice(
            default="constant",
            options=("constant", "cosine"),
            more=True,
            help="Keep the step size, or let it fall to zero.",
        ),
        "momentum": Float(
            default=0,
            minimum=0,
            maximum=0.99,
            more=True,
            help="How much of the earlier direction each step keeps.",
        ),
        "noise": Float(
            default=0,
            minimum=0,
            maximum=0.2,
            step=0.001,
            more=True,
            help="Noise added at each step; a little loosens texture.",
        ),
        "jitter": Int(
            default=2,
            minimum=0,
            maximum=8,
            more=True,
            unit="pixels",
            help="Random shift of what the model sees at each step; smooths checkerboards.",
        ),
        "smoothing": Float(
            default=0,
            minimum=0,
            maximum=1,
            more=True,
            help="Blur of what the model sees; keeps steps from drawing the finest checkerboards.",
        ),
        "seed": seed_parameter(),
    }


def class_objective() -> dict[str, Parameter]:
    """The choice between the two losses of a class."""
    return {
        "objective": Choice(
            default="logit",
            options=("logit", "cross-entropy"),
            more=True,
            help="Raise the class's logit (more natural), or lower the cross-entropy (the paper's).",
        )
    }


def class_loss(model: RobustClassifier, labels: Tensor, p: SimpleNamespace, generators: Generators) -> Objective:
    """The loss of being seen as ``labels`` (N,) that the user chose, jittered."""
    loss = logit if p.objective == "logit" else cross_entropy
    return seen(loss(model, labels), p, generators)


def seen(loss: Objective, p: SimpleNamespace, generators: Generators) -> Objective:
    """The loss of pictures as the model is to see them at each step: shifted and smoothed."""
    return jittered(smoothed(loss, p.smoothing), p.jitter, generators)


def class_or_predicted(model: RobustClassifier, label: int | None, seen: Tensor) -> Tensor:
    """The given class, or the one that the model sees in ``seen`` (N, 3, H, W): labels (N,)."""
    if label is not None:
        return torch.full((len(seen),), label, device=seen.device)
    with torch.no_grad():
        return model(seen).argmax(1)


def _to(value, device):
    return value.to(device) if isinstance(value, Tensor) else value
