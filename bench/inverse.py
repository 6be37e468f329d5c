"""Super-resolution and inpainting as inverse problems: deepinv's priors, and the classifier as a prior among them.

Needs ``pip install deepinv``. Every method gets the same measurements: of super-resolution the small picture, of
inpainting the pixels around the hole, which all of them keep exactly. ``bench.evidence inverse`` measures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.runs import PLAIN, Family, Given, holes, make
from synth.classifier import Classifier
from synth.objectives import cross_entropy
from synth.tasks.inpainting import fill_hole
from synth.tasks.super_resolution import enlarged
from training.data import Pictures
from training.intervals import mean
from training.restoration import figures
from training.samples import judge_accuracy, outputs, to_bytes

try:
    import deepinv
except ImportError:
    deepinv = None

ITERATIONS = 40
"""Of every proximal or gradient method of deepinv."""
FITTED = (50, 100, 200)
"""Iterations of Deep Image Prior to choose from."""
BATCH = 50
DENOISER = {"nc": (16, 32, 64, 128), "nb": 2}
"""Widths and blocks of the denoiser."""
NOISE = 50 / 255
"""The most that the denoiser is trained on."""


@dataclass(frozen=True)
class Measured:
    """What is known of pictures: y = A(x), with A of norm 1, and a fill (N, 3, S, S) to start from.

    holes: (N, 1, S, S), 1 where unknown, in inpainting; factor: in super-resolution.
    """

    y: Tensor
    fill: Tensor
    labels: Tensor
    holes: Tensor | None = None
    factor: int = 1

    @classmethod
    def of(cls, given: Given, *, factor: int = 1, hidden: Tensor | None = None) -> Measured:
        """The measurements of pictures whose truth is known, shrunk by ``factor`` or with ``hidden`` pixels."""
        if hidden is None:
            small = to_bytes(F.avg_pool2d(given.truth, factor)).float() / 255
            return cls(factor * small, enlarged(small, factor, "bicubic"), given.labels, factor=factor)
        return cls(given.truth * (1 - hidden), fill_hole(given.truth, hidden), given.labels, hidden)

    @cached_property
    def physics(self) -> deepinv.physics.LinearPhysics:
        if self.holes is not None:
            return deepinv.physics.LinearPhysics(
                A=lambda x, **_: x * (1 - self.holes), A_adjoint=lambda y, **_: y * (1 - self.holes)
            )
        return deepinv.physics.LinearPhysics(
            A=lambda x, **_: self.factor * F.avg_pool2d(x, self.factor),
            A_adjoint=lambda y, **_: F.interpolate(y, scale_factor=self.factor) / self.factor,
        )

    def split(self, size: int) -> Iterator[Measured]:
        """Batches of at most ``size``."""
        for i in range(0, len(self.y), size):
            cut = slice(i, i + size)
            hidden = None if self.holes is None else self.holes[cut]
            yield replace(self, y=self.y[cut], fill=self.fill[cut], labels=self.labels[cut], holes=hidden)

    def kept(self, x: Tensor) -> Tensor:
        """``x`` in [0, 1], in inpainting with the known pixels."""
        x = x.detach().clamp(0, 1)
        return x if self.holes is None else x * self.holes + self.y


@dataclass(frozen=True)
class Method:
    """solve(measured, **settings) -> (N, 3, S, S); ``grid`` are the settings to choose from."""

    solve: Callable[..., Tensor]
    grid: dict[str, tuple] = field(default_factory=dict)
    batch: int = BATCH

    def settings(self) -> list[dict]:
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]

    def __call__(self, measured: Measured, **settings) -> Tensor:
        return torch.cat([part.kept(self.solve(part, **settings)) for part in measured.split(self.batch)])


def class_prior(model: Classifier, labels: Tensor) -> deepinv.optim.Prior:
    """The classifier as a deepinv prior: g(x) is the cross-entropy to ``labels`` (N,) of pictures (N, 3, H, W)."""

    class ClassPrior(deepinv.optim.Prior):
        def __init__(self):
            super().__init__()
            self.explicit_prior = True

        def fn(self, x: Tensor, *_, **__) -> Tensor:
            return cross_entropy(model, labels)(x)

        def grad(self, x: Tensor, *_, **__) -> Tensor:
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.fn(x).sum(), x)[0]

    return ClassPrior()


def methods(engine: Classifier, denoiser: nn.Module) -> dict[str, Method]:
    """Priors by name, each with the optimiser that it is published with, from the same fill."""

    def solver(kind: str, measured: Measured, prior, **settings) -> Tensor:
        run = getattr(deepinv.optim, kind)(
            data_fidelity=deepinv.optim.L2(), prior=prior, stepsize=1.0, max_iter=ITERATIONS, **settings
        )
        return run(measured.y, measured.physics, init=measured.fill)

    def total_variation(measured: Measured, lam: float) -> Tensor:
        return solver("PGD", measured, deepinv.optim.TVPrior(n_it_max=20), lambda_reg=lam)

    def deep_image_prior(measured: Measured, iterations: int) -> Tensor:
        size = tuple(measured.fill.shape[1:])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = deepinv.models.ConvDecoder(size, in_size=(4, 4), layers=5, channels=64)
            network = nn.Sequential(decoder, nn.Sigmoid())  # as published; without bounds, holes turn black
            fit = deepinv.models.DeepImagePrior(network, (64, 4, 4), iterations=iterations)
            return fit(measured.y, measured.physics)

    def plug_and_play(measured: Measured, sigma: float) -> Tensor:
        return solver("PGD", measured, deepinv.optim.PnP(denoiser), sigma_denoiser=sigma)

    def in_stages(measured: Measured, sigma: float) -> Tensor:
        run = deepinv.optim.DPIR(sigma, denoiser=denoiser, device=measured.y.device)
        return run(measured.y, measured.physics, init=measured.fill)

    def by_denoising(measured: Measured, sigma: float, lam: float) -> Tensor:
        return solver("GD", measured, deepinv.optim.RED(denoiser), sigma_denoiser=sigma, lambda_reg=lam)

    def classifier(measured: Measured, lam: float) -> Tensor:
        return solver("GD", measured, class_prior(engine, measured.labels), lambda_reg=lam)

    sigmas = (0.01, 0.03, 0.06, 0.12)
    return {
        "fill": Method(lambda measured: measured.fill),
        "total variation": Method(total_variation, {"lam": (0.0003, 0.001, 0.003, 0.01)}),
        "Deep Image Prior": Method(deep_image_prior, {"iterations": FITTED}, batch=1),
        "plug and play": Method(plug_and_play, {"sigma": sigmas}),
        "DPIR": Method(in_stages, {"sigma": sigmas}),
        "RED": Method(by_denoising, {"sigma": sigmas, "lam": (0.1, 0.5)}),
        "class prior": Method(classifier, {"lam": (0.01, 0.03, 0.1, 0.3, 1)}),
    }


OURS = {
    "super_resolution": {
        "published": PLAIN | {"upsampling": "nearest", "consistency": "none"},
        "bicubic start": PLAIN | {"upsampling": "bicubic", "consistency": "none"},
        "hard consistency": {"upsampling": "bicubic", "consistency": "hard"},
        "preset": {},
    },
    "inpainting": {
        "published": PLAIN | {"fill": "mean", "outside": "penalty"},
        "mean fill": {"fill": "mean", "outside": "exact"},
        "preset": {},
    },
}
"""{task: {name: settings beside the tuned ones}}."""


def compare(family: Family, count: int, choose: int, task: str = "super_resolution", factor: int = 4) -> dict:
    """Every method on ``count`` test pictures of known truth and class.

    A method's settings are those whose results for ``choose`` other test pictures are nearest to the truth, once in
    PSNR and once in the judge's features; our own are the presets. Seconds a picture are wall clock, in batches of 50,
    one at a time for Deep Image Prior, which fits a network to each.
    """
    if deepinv is None:
        raise ValueError("inverse: expected pip install deepinv, which is not here")
    if task not in OURS:
        raise ValueError(f"task: expected one of {', '.join(OURS)}, got {task}")
    inpaints = task == "inpainting"
    square = {"batch": 10} if inpaints else {}
    few, given = family.real(choose, **square), family.real(count, choose, **square)
    known, measured = (
        Measured.of(one, **({"hidden": holes(family.robust, one)} if inpaints else {"factor": factor}))
        for one in (few, given)
    )
    denoiser, minutes = trained(family.train)
    rows = []

    def add(method: str, settings: dict, began: float, made: Tensor, by: str = "") -> None:
        seconds = (time.perf_counter() - began) / len(made)
        found = likeness(family, made, given, measured.holes) | {"seconds": round(seconds, 4)}
        words = ", ".join(f"{k} {v:g}" for k, v in settings.items())
        rows.append({"method": method, "settings": words, "chosen by": by} | found)

    for name, method in methods(family.networks["robust"], denoiser).items():
        tried = [(one, likeness(family, method(known, **one), few, known.holes)) for one in method.settings()]
        truest = max(tried, key=lambda pair: pair[1]["psnr"]["value"])[0]
        nearest = min(tried, key=lambda pair: pair[1]["apart"]["value"])[0]
        chosen = {"PSNR": truest, "judge": nearest} if truest != nearest else {"both" if nearest else "": nearest}
        for by, best in chosen.items():
            began = time.perf_counter()
            add(name, best, began, method(measured, **best), by)
    tuned = family.tuned(task) | ({} if inpaints else {"factor": str(factor)})
    ways = {f"ours, {name}": ("robust", more) for name, more in OURS[task].items()}
    for name, (network, more) in (ways | {"ours, preset, standard network": ("standard", {})}).items():
        began, settings = time.perf_counter(), tuned | more
        made = make(family.networks[network], task, given, settings, (settings["steps"],))[settings["steps"]]
        add(name, {}, began, made)
    add("truth", {}, time.perf_counter(), given.truth)
    rows[-1] |= {"seconds": None}
    more = {} if inpaints else {"factor": factor}
    return {"settings": tuned, **more, "chosen_on": choose, "denoiser_minutes": minutes, "rows": rows}


def likeness(family: Family, made: Tensor, given: Given, hidden: Tensor | None = None) -> dict:
    """PSNR, SSIM, the distance in the judge's features ("apart") and how often it sees the class."""
    (features, logits), (true, _) = (outputs(family.judge, to_bytes(x)) for x in (made, given.truth))
    apart = 1 - F.cosine_similarity(features, true)
    return {
        "seen": judge_accuracy(logits, given.labels),
        "apart": mean(apart.tolist()),
        **figures(made, given.truth, hidden),
    }


@cache
def trained(data: Pictures, steps: int = 2000, batch: int = 64) -> tuple[nn.Module, float]:
    """A small DRUNet, which is told the noise's level, trained on ``data``, and the minutes that took."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = deepinv.models.DRUNet(**DENOISER, pretrained=None)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
        began = time.perf_counter()
        for _ in range(steps):
            x = data[torch.randint(len(data), (batch,))][0]
            sigma = NOISE * torch.rand(batch, 1, 1, 1)
            loss = (network(x + sigma * torch.randn_like(x), sigma.flatten()) - x).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval().requires_grad_(False), round((time.perf_counter() - began) / 60, 1)
