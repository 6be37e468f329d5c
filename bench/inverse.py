"""Inverse problems: deepinv's priors, and the classifier as a prior among them.

Needs ``pip install deepinv``. Every method gets the same measurements: the small picture in super-resolution, the
blurred one in deblurring, and the pixels around the hole in inpainting, which all of them keep exactly.
``bench.evidence inverse`` measures.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.runs import PLAIN, Family, Inputs, make
from synth.classifier import Classifier
from synth.prior import class_prior
from synth.tasks.inpainting import fill_hole
from synth.tasks.super_resolution import enlarge
from training.data import Pictures
from training.evaluation.restoration import reference_figures
from training.intervals import mean
from training.judge import judge_accuracy, outputs
from training.sampling import to_bytes

try:
    import deepinv
except ImportError:
    deepinv = None

ITERATIONS = 40
"""Iterations of every proximal or gradient method of deepinv."""
FACTOR = 4
"""Of super-resolution."""
BLUR = 1.5
"""Standard deviation in pixels of the Gaussian of deblurring, at 32 pixels; wider in proportion to the side."""
FITTED = (50, 100, 200)
"""Iterations of Deep Image Prior to choose from."""
BATCH = 50
DENOISER = {"nc": (16, 32, 64, 128), "nb": 2}
"""Widths and blocks of the denoiser."""
NOISE = 50 / 255
"""The strongest noise that the denoiser is trained on."""


@dataclass(frozen=True)
class Measurements:
    """What is known about pictures: y = A(x), with A of norm 1, and a fill (N, 3, S, S) to start from.

    holes: (N, 1, S, S), 1 where unknown, in inpainting; factor: in super-resolution; blur: in pixels, in deblurring.
    """

    y: Tensor
    fill: Tensor
    labels: Tensor
    holes: Tensor | None = None
    factor: int = 1
    blur: float = 0

    @classmethod
    def of(cls, inputs: Inputs, task: str) -> Measurements:
        """The measurements of pictures whose truth is known, which ``task`` undoes."""
        truth, hidden = inputs.truth, inputs.holes
        if task == "deblurring":
            unknown = cls(truth, truth, inputs.labels, blur=BLUR * truth.shape[-1] / 32)
            blurred = to_bytes(unknown.physics.A(truth).clamp(0, 1)).float() / 255
            return replace(unknown, y=blurred, fill=blurred)
        if hidden is None:
            small = to_bytes(F.avg_pool2d(truth, FACTOR)).float() / 255
            return cls(FACTOR * small, enlarge(small, FACTOR, "bicubic"), inputs.labels, factor=FACTOR)
        return cls(truth * (1 - hidden), fill_hole(truth, hidden), inputs.labels, hidden)

    @cached_property
    def physics(self) -> deepinv.physics.LinearPhysics:
        if self.blur:
            side = 2 * math.ceil(3 * self.blur) + 1
            kernel = deepinv.physics.functional.gaussian_blur(psf_size=(side, side), sigma=self.blur)
            return deepinv.physics.Blur(kernel, padding="circular")
        if self.holes is not None:
            return deepinv.physics.LinearPhysics(
                A=lambda x, **_: x * (1 - self.holes), A_adjoint=lambda y, **_: y * (1 - self.holes)
            )
        return deepinv.physics.LinearPhysics(
            A=lambda x, **_: self.factor * F.avg_pool2d(x, self.factor),
            A_adjoint=lambda y, **_: F.interpolate(y, scale_factor=self.factor) / self.factor,
        )

    def split(self, size: int) -> Iterator[Measurements]:
        """Batches of at most ``size``."""
        for i in range(0, len(self.y), size):
            cut = slice(i, i + size)
            hidden = None if self.holes is None else self.holes[cut]
            yield replace(self, y=self.y[cut], fill=self.fill[cut], labels=self.labels[cut], holes=hidden)

    def keep_known(self, x: Tensor) -> Tensor:
        """``x`` in [0, 1], in inpainting with the known pixels."""
        x = x.detach().clamp(0, 1)
        return x if self.holes is None else x * self.holes + self.y


@dataclass(frozen=True)
class Method:
    """solve(measurements, **settings) -> (N, 3, S, S); ``grid`` are the settings to choose from."""

    solve: Callable[..., Tensor]
    grid: dict[str, tuple] = field(default_factory=dict)
    batch: int = BATCH

    def settings(self) -> list[dict]:
        return [dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())]

    def __call__(self, measurements: Measurements, **settings) -> Tensor:
        return torch.cat([part.keep_known(self.solve(part, **settings)) for part in measurements.split(self.batch)])


def methods(engine: Classifier, denoiser: nn.Module) -> dict[str, Method]:
    """Priors by name, each with the optimiser of its publication, from the same fill."""

    def solver(kind: str, measurements: Measurements, prior, **settings) -> Tensor:
        run = getattr(deepinv.optim, kind)(
            data_fidelity=deepinv.optim.L2(), prior=prior, stepsize=1.0, max_iter=ITERATIONS, **settings
        )
        return run(measurements.y, measurements.physics, init=measurements.fill)

    def total_variation(measurements: Measurements, lam: float) -> Tensor:
        return solver("PGD", measurements, deepinv.optim.TVPrior(n_it_max=20), lambda_reg=lam)

    def deep_image_prior(measurements: Measurements, iterations: int) -> Tensor:
        size = tuple(measurements.fill.shape[1:])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            decoder = deepinv.models.ConvDecoder(size, in_size=(4, 4), layers=5, channels=64)
            network = nn.Sequential(decoder, nn.Sigmoid())  # as published; without bounds, holes turn black
            fit = deepinv.models.DeepImagePrior(network, (64, 4, 4), iterations=iterations)
            return fit(measurements.y, measurements.physics)

    def plug_and_play(measurements: Measurements, sigma: float) -> Tensor:
        return solver("PGD", measurements, deepinv.optim.PnP(denoiser), sigma_denoiser=sigma)

    def in_stages(measurements: Measurements, sigma: float) -> Tensor:
        run = deepinv.optim.DPIR(sigma, denoiser=denoiser, device=measurements.y.device)
        return run(measurements.y, measurements.physics, init=measurements.fill)

    def by_denoising(measurements: Measurements, sigma: float, lam: float) -> Tensor:
        return solver("GD", measurements, deepinv.optim.RED(denoiser), sigma_denoiser=sigma, lambda_reg=lam)

    def classifier(measurements: Measurements, lam: float) -> Tensor:
        return solver("GD", measurements, class_prior(engine, measurements.labels), lambda_reg=lam)

    sigmas = (0.01, 0.03, 0.06, 0.12)
    return {
        "fill": Method(lambda measurements: measurements.fill),
        "total variation": Method(total_variation, {"lam": (0.0003, 0.001, 0.003, 0.01)}),
        "Deep Image Prior": Method(deep_image_prior, {"iterations": FITTED}, batch=1),
        "plug and play": Method(plug_and_play, {"sigma": sigmas}),
        "DPIR": Method(in_stages, {"sigma": sigmas}),
        "RED": Method(by_denoising, {"sigma": sigmas, "lam": (0.1, 0.5)}),
        "class prior": Method(classifier, {"lam": (0.01, 0.03, 0.1, 0.3, 1)}),
    }


OURS = {
    "super_resolution": {
        "published": PLAIN | {"upsampling": "nearest", "consistency": "none", "detail": 1},
        "bicubic start": {"upsampling": "bicubic"},
        "no detail": {"detail": 0},
        "preset": {},
        "all detail": {"detail": 1},
    },
    "inpainting": {
        "published": PLAIN | {"fill": "mean", "outside": "penalty", "resemblance": 0, "detail": 1},
        "preset": {},
        "all detail": {"detail": 1},
    },
    "deblurring": {},
}
"""{task: {name: settings beside the tuned ones}}; deblurring is no task of ``synth``, only the class prior does it."""


def compare(family: Family, count: int, choose: int, task: str) -> dict:
    """Every method on ``count`` test pictures of known truth and class.

    A method's settings are those whose results for ``choose`` other test pictures are nearest to the truth, once in
    PSNR and once in the judge's features; our own are the presets. Seconds per picture are wall clock, in batches of
    50, one at a time for Deep Image Prior, which fits a network to each.
    """
    if deepinv is None:
        raise ValueError("inverse: expected pip install deepinv, which is not here")
    if task not in OURS:
        raise ValueError(f"task: expected one of {', '.join(OURS)}, got {task}")
    drawn = task if OURS[task] else "super_resolution"  # the pictures of another task, where it is none
    few, inputs = family.real(drawn, choose), family.real(drawn, count, choose)
    few_measurements, measurements = (Measurements.of(one, task) for one in (few, inputs))
    denoiser, minutes = train_denoiser(family.train)
    rows = []

    def add(method: str, settings: dict, start: float, images: Tensor, criterion: str = "") -> None:
        seconds = {"seconds": round((time.perf_counter() - start) / len(images), 4)}
        words = ", ".join(f"{k} {v:g}" for k, v in settings.items())
        row = {"method": method, "settings": words, "chosen by": criterion}
        rows.append(row | likeness(family, images, inputs, measurements.holes) | seconds)

    for name, method in methods(family.networks["robust"], denoiser).items():
        tried = [
            (one, likeness(family, method(few_measurements, **one), few, few_measurements.holes))
            for one in method.settings()
        ]
        truest = max(tried, key=lambda pair: pair[1]["psnr"]["value"])[0]
        nearest = min(tried, key=lambda pair: pair[1]["apart"]["value"])[0]
        best = {"PSNR": truest, "judge": nearest} if truest != nearest else {"both" if nearest else "": nearest}
        for criterion, settings in best.items():
            start = time.perf_counter()
            add(name, settings, start, method(measurements, **settings), criterion)
    tuned = family.tuned(task) if OURS[task] else {}
    if measurements.factor > 1:
        tuned["factor"] = measurements.factor
    ours = {f"ours, {name}": ("robust", more) for name, more in OURS[task].items()}
    ours |= {"ours, preset, standard network": ("standard", {})} if ours else {}
    for name, (network, more) in ours.items():
        start, settings = time.perf_counter(), tuned | more
        images = make(family.networks[network], task, inputs, settings, (settings["steps"],))[settings["steps"]]
        add(name, {}, start, images)
    add("truth", {}, time.perf_counter(), inputs.truth)
    rows[-1] |= {"seconds": None}
    return {
        "settings": tuned,
        "judge": family.judge.name,
        "chosen_on": choose,
        "denoiser_minutes": minutes,
        "rows": rows,
    }


def likeness(family: Family, images: Tensor, inputs: Inputs, hidden: Tensor | None = None) -> dict:
    """PSNR, SSIM, the distance in the judge's features ("apart") and how often it predicts the class."""
    (features, logits), (true, _) = (outputs(family.judge, to_bytes(x)) for x in (images, inputs.truth))
    apart = 1 - F.cosine_similarity(features, true)
    return {
        "seen": judge_accuracy(logits, inputs.labels),
        "apart": mean(apart.tolist()),
        **reference_figures(images, inputs.truth, hidden),
    }


@cache
def train_denoiser(data: Pictures, steps: int = 2000, batch: int = 64) -> tuple[nn.Module, float]:
    """A small DRUNet, with the noise level as an input, trained on ``data``, and the minutes of its training."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = deepinv.models.DRUNet(**DENOISER, pretrained=None)
        optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
        start = time.perf_counter()
        for _ in range(steps):
            x = data[torch.randint(len(data), (batch,))][0]
            sigma = NOISE * torch.rand(batch, 1, 1, 1)
            loss = (network(x + sigma * torch.randn_like(x), sigma.flatten()) - x).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval().requires_grad_(False), round((time.perf_counter() - start) / 60, 1)
