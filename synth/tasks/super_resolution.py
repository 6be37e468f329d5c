"""Adding detail to a small picture."""

from types import SimpleNamespace

import torch
import torch.nn.functional as F

from synth import metrics, pictures
from synth.classifier import Classifier
from synth.constraints import L2, SameMean
from synth.multiscale import enlarge
from synth.objectives import Objective, consistency, smoothed
from synth.parameters import Choice, ClassName, Float, Picture
from synth.photographs import extent_parameter, tiled
from synth.pictures import MOST_PIXELS
from synth.tasks.synthesis import (
    Problem,
    Synthesis,
    chosen_loss,
    class_loss,
    class_objective,
    class_or_predicted,
    detail_parameter,
    optimisation,
)

BACK_PROJECTIONS = 10
"""How often what the enlarged picture misses is added to it."""
VARIATION_STEPS, VARIATION_STEP, MOMENTUM = 30, 0.01, 0.8
"""Steps down the total variation of the start, how far each moves an edge, and how much of the last move is kept."""
FLAT = 0.05
"""Differences of neighbouring pixels well below this count with their square, so that soft shading stays."""


class SuperResolution(Synthesis):
    """Enlarge a small picture, and sharpen what its class looks like.

    Section 3.4 and equation 4 of Santurkar et al. 2019; consistency with the input is our addition.
    """

    name = "super_resolution"
    title = "Super-resolve"
    order = 4
    first_setting = "detail"
    equation = r"\hat x_H = \arg\min_{\|x' - \uparrow(x_L)\| < \varepsilon} \mathcal{L}(x', y)"
    parameters = {
        "picture": Picture(help="The small picture; a larger one is shrunk first."),
        "class_name": ClassName(help="What the picture shows.", optional=True, blank="what the model sees"),
        "factor": Choice(default=4, options=(2, 4, 8), help="How many times larger the result is."),
        "extent": extent_parameter(),
        "detail": detail_parameter(),
        **optimisation(epsilon=2, steps=40, step_size=0.1),
        **class_objective(),
        "lam": Float(
            default=1,
            minimum=0,
            maximum=1000,
            step=1,
            help="Lambda: how strongly soft consistency holds the input.",
        ),
        "upsampling": Choice(
            default="total variation",
            options=("total variation", "bicubic", "nearest"),
            more=True,
            help="How the small picture is enlarged at first: with the cleanest edges that fit it, or interpolated.",
        ),
        "consistency": Choice(
            default="hard",
            options=("hard", "soft", "none"),
            more=True,
            help="Shrunk again, the result equals the input, is pulled towards it, or is free (the paper's).",
        ),
    }
    presets = {
        "paper": {
            "epsilon": 15, "steps": 50, "step_size": 1, "objective": "cross-entropy", "jitter": 0,
            "upsampling": "nearest", "consistency": "none",
        }
    }  # fmt: skip

    def picture_size(self, model, values):
        return 0 if values["extent"] == "whole" else max(1, model.image_size // values["factor"])

    def check(self, model, *, preset="tuned", **settings):
        values = super().check(model, preset=preset, **settings)
        height, width = (values["factor"] * side for side in values["picture"].shape[2:])
        if values["extent"] == "whole" and (min(height, width) < model.image_size or height * width > MOST_PIXELS):
            bounds = f"a result of at least {model.image_size} pixels a side and at most {MOST_PIXELS:,} in all"
            raise ValueError(f"picture: expected {bounds}, got {width}x{height}")
        return values

    def run(self, model, p, generators, frame):
        if p.extent == "whole":
            wider = p.factor * (p.picture.shape[-1] * p.picture.shape[-2]) ** 0.5 / model.image_size
            further = {name: wider * getattr(p, name) for name in ("epsilon", "step_size")}
            p = SimpleNamespace(**vars(p) | further)
        yield from super().run(model, p, generators, frame)

    def problem(self, model, p, generators):
        hard, start = p.consistency == "hard", enlarged(p.picture, p.factor, p.upsampling)
        constraint = SameMean(L2(p.epsilon), p.picture, p.factor)
        if hard:
            start = constraint.match(back_projected(start, p.picture, p.factor))
        if p.extent == "whole":
            loss = tiled(smoothed(each_as_its_class(model, p), p.smoothing), model.image_size, generators)
        else:
            loss = class_loss(model, class_or_predicted(model, p.class_name, start), p, generators)
        if p.consistency == "soft":
            loss = loss + p.lam * start[0].numel() * consistency(p.picture, lambda x: F.avg_pool2d(x, p.factor))
        return Problem(loss, start, constraint if hard else constraint.inner)

    def baseline(self, values: dict) -> torch.Tensor:
        """The bicubic enlargement of the small picture in checked ``values``, (N, 3, S, S)."""
        return enlarge(values["picture"], values["factor"], "bicubic")

    def shown_start(self, frame):
        """The pixels of the small picture."""
        factor = frame.settings["factor"]
        return enlarge(F.avg_pool2d(frame.start, factor), factor, "nearest")

    def compare(self, frame, original):
        """Beside bicubic enlargement.

        An ``original`` that is smaller than the result, or that was such a one enlarged pixel by pixel, is none.
        """
        values, size = frame.settings, frame.pictures.shape[-1]
        images = pictures.read_all(original)
        truth = pictures.to_tensor(images, size)
        blocks = enlarge(values["picture"], values["factor"], "nearest")
        if min(min(image.size) for image in images) < size or torch.allclose(truth, blocks):
            return None
        return metrics.table({"ours": frame.pictures, "bicubic": self.baseline(values)}, truth)


def each_as_its_class(model: Classifier, p: SimpleNamespace) -> Objective:
    """The loss of each tile's own class, what the model sees in it if none was named."""
    loss = chosen_loss(p)
    return Objective(lambda x: loss(model, class_or_predicted(model, p.class_name, x))(x))


def enlarged(low: torch.Tensor, factor: int, upsampling: str) -> torch.Tensor:
    """Pictures (N, 3, f H, f W) in [0, 1] from ``low`` (N, 3, H, W): interpolated, or of least total variation."""
    if upsampling == "total variation":
        return least_variation(low, factor).clamp(0, 1)
    return enlarge(low, factor, upsampling)


def least_variation(low: torch.Tensor, factor: int) -> torch.Tensor:
    """Pictures (N, 3, f H, f W) with little total variation among those that shrink to ``low`` (N, 3, H, W).

    Steps with momentum from the bicubic picture, after each of which what it misses is added (Rudin et al.
    1992; Marquina and Osher 2008). It has neither the blur nor the rings of interpolation.
    """
    picture = enlarge(low, factor)
    moved = torch.zeros_like(picture)
    for _ in range(VARIATION_STEPS):
        following = picture + MOMENTUM * moved + VARIATION_STEP * curvature(picture)
        missing = low - F.avg_pool2d(following, factor)
        following = following + F.interpolate(missing, scale_factor=factor, mode="bilinear")
        moved, picture = following - picture, following
    return picture


def curvature(picture: torch.Tensor) -> torch.Tensor:
    """Minus the gradient (N, 3, H, W) of the total variation of ``picture``, whose colours share their edges."""
    right = F.pad(picture.diff(dim=3), (0, 1))
    down = F.pad(picture.diff(dim=2), (0, 0, 0, 1))
    scale = (right.square().sum(1, keepdim=True) + down.square().sum(1, keepdim=True) + FLAT**2).rsqrt()
    right, down = right * scale, down * scale
    return right - F.pad(right, (1, 0))[..., :-1] + down - F.pad(down, (0, 0, 1, 0))[..., :-1, :]


def back_projected(picture: torch.Tensor, low: torch.Tensor, factor: int) -> torch.Tensor:
    """``picture`` (N, 3, f H, f W) closer to those that shrink to ``low`` (N, 3, H, W): what they miss is added.

    Iterative back-projection (Irani and Peleg 1991).
    """
    for _ in range(BACK_PROJECTIONS):
        missing = low - F.avg_pool2d(picture, factor)
        picture = picture + F.interpolate(missing, scale_factor=factor, mode="bicubic")
    return picture
