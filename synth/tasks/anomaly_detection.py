"""Finding what does not belong."""

import bisect
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.constraints import L2
from synth.parameters import Choice, Float, Int, Normal, Picture
from synth.pgd import iterate
from synth.tasks.inversion import Inversion

WINDOW = 5
"""Pixels a side over which the heat map is averaged, at 64 pixels."""
STEPS, STEP_SIZE = 1, 2.0
"""With which decoders scored the normal pictures that they keep for comparison."""
HOTTEST = 0.5
"""Mean absolute difference that is white on the heat map."""
DIM = 0.5
"""How bright the picture is below it."""
RELATIVE = ("everything", "nothing")
"""Over what the decoder of everything leaves, or plain."""


class AnomalyDetection(Inversion):
    """Score how odd a picture is, and show where: bright is what a decoder of normal pictures cannot rebuild.

    Rojas-Gomez et al. 2021: the residual after optimising the features (the preset "paper"). Ours is the residual of
    the decoded features, over what a decoder of everything leaves of the same features.
    """

    name = "anomaly_detection"
    title = "Anomalies"
    order = 12
    equation = r"s(x) = \|G_{normal}(f(x)) - x\|_2^2 \,/\, \|G_{all}(f(x)) - x\|_2^2"
    parameters = {
        "picture": Picture(help="The picture to examine."),
        "normal": Normal(help="What counts as normal."),
        "relative_to": Choice(
            default="everything",
            options=RELATIVE,
            help="Score against what a decoder of everything leaves, so that a busy picture is not odd for being busy.",
        ),
        "steps": Int(
            default=STEPS,
            minimum=1,
            maximum=500,
            help="The first decodes; others move the features towards the picture.",
        ),
        "step_size": Float(
            default=STEP_SIZE,
            minimum=0.001,
            maximum=50,
            step=0.1,
            more=True,
            help="Length of each step in standardised features.",
        ),
    }
    presets = {"paper": {"relative_to": "nothing", "steps": 101, "step_size": 1}}
    first_setting = "relative_to"

    def run(self, model, p, generators, frame):
        names = [name for name in model.decoders if name]
        decoder = model.decoder if p.normal is None else model.decoders[names[p.normal]]
        kinds = ("rebuilt as normal" if p.normal is None else f"rebuilt as {names[p.normal]}", "what does not fit")
        captions = tuple(kind for kind in kinds for _ in p.picture)
        start = torch.cat([p.picture, torch.zeros_like(p.picture)])
        yield frame(0, p.steps, start, start.new_zeros(len(start)), start, captions=captions)
        relative = p.relative_to == RELATIVE[0] and decoder is not model.decoder
        states = anomaly_scores(model, decoder, p.picture, p.steps, p.step_size, relative=relative)
        for step, (rebuilt, usual, scores) in enumerate(states, 1):
            comparable = (p.relative_to, step, p.steps, p.step_size) == (RELATIVE[0], STEPS, STEPS, STEP_SIZE)
            notes = [
                (f"score {score:.2f} times the usual" if relative else f"score {score:.4f}")
                + (compare_with_normal(score, decoder) if comparable else "")
                for score in scores.tolist()
            ]
            pictures = torch.cat([rebuilt, heat(rebuilt, p.picture, usual)])
            yield frame(step, p.steps, pictures, scores.repeat(2), start, captions=captions, note="; ".join(notes))


def anomaly_scores(
    model: Classifier, decoder: Decoder, x: Tensor, steps: int = STEPS, step_size: float = STEP_SIZE, *, relative
) -> Iterator[tuple[Tensor, Tensor | None, Tensor]]:
    """(rebuilt, usual, scores) at each step: ``x`` (N, 3, H, W) rebuilt by ``decoder``, and its scores (N,) so far.

    relative: divide by the residual of the model's own decoder, whose rebuilt pictures are ``usual``, else None.
    """
    decoders = [decoder, *([model.decoder] if relative and model.decoder else [])]
    depth = min(one.depth for one in decoders)
    runs = [fit_features(model, one, x, steps, step_size, depth) for one in decoders]
    for rebuilt, *usual in zip(*runs, strict=True):
        scores = residual(rebuilt, x)
        yield (rebuilt, usual[0], scores / residual(usual[0], x)) if relative else (rebuilt, None, scores)


def fit_features(model: Classifier, decoder: Decoder, x: Tensor, steps: int, step_size: float, depth: int):
    """What ``decoder`` makes of the features of ``x`` (N, 3, H, W), then after each step of theirs towards ``x``."""

    @torch.no_grad()
    def rebuilt(z: Tensor) -> Tensor:
        return decoder.decode_stages(z, depth)[-1]

    with torch.no_grad():
        z = decoder.normalise(model.maps(x, depth)[-1], depth)
    yield rebuilt(z)
    for state in iterate(
        lambda z: residual(decoder.decode_stages(z, depth)[-1], x),
        z,
        L2(boxed=False),
        steps=steps - 1,
        step_size=step_size,
    ):
        yield rebuilt(state.pictures)


def residual(rebuilt: Tensor, x: Tensor) -> Tensor:
    """The anomaly score: mean squared difference, (N, 3, H, W) twice -> (N,)."""
    return (rebuilt - x).square().flatten(1).mean(1)


def heat(rebuilt: Tensor, x: Tensor, usual: Tensor | None = None) -> Tensor:
    """Where they differ, more than ``usual`` does: red, yellow, white over a dim grey ``x``, (N, 3, H, W)."""
    window = max(1, round(WINDOW * x.shape[-1] / 64)) | 1
    level = (rebuilt - x).abs().mean(1, keepdim=True)
    if usual is not None:
        level = level - (usual - x).abs().mean(1, keepdim=True)
    level = F.avg_pool2d(level, window, 1, window // 2, count_include_pad=False).clamp_min(0)
    level = 3 * level / HOTTEST
    dim = DIM * x.mean(1, keepdim=True) * (1 - level.clamp(0, 1))
    return dim + torch.cat([level, level - 1, level - 2], 1).clamp(0, 1)


def compare_with_normal(score: float, decoder: Decoder) -> str:
    """How the score stands among those of held-out normal pictures, if the decoder knows them."""
    known = decoder.info.get("normal_scores")
    if not known:
        return ""
    return f", higher than {bisect.bisect_left(known, score) / len(known):.0%} of normal pictures that it never saw"
