"""Finding what does not belong."""

import bisect

import torch
import torch.nn.functional as F
from torch import Tensor

from synth.autoencoder import Decoder
from synth.classifier import RobustClassifier
from synth.constraints import L2
from synth.parameters import Float, Int, Normal, Picture
from synth.pgd import iterate
from synth.tasks.inversion import Inversion

WINDOW = 5
"""Pixels a side over which the heat map is averaged, at 64 pixels."""
STEPS, STEP_SIZE = 10, 2.0
"""With which decoders scored the normal pictures that they keep for comparison."""
HOTTEST = 0.25
"""Mean absolute difference that is white on the heat map."""


class AnomalyDetection(Inversion):
    """Score how odd a picture is, and show where, by what a decoder of normal pictures cannot rebuild.

    Rojas-Gomez et al. 2021: the residual after optimising the features.
    """

    name = "anomaly_detection"
    title = "Anomalies"
    equation = r"s(x) = \min_z \|G(z) - x\|_2^2 / d, \quad z_0 = f(x)"
    parameters = {
        "picture": Picture(help="The picture to examine."),
        "normal": Normal(help="What counts as normal."),
        "steps": Int(
            default=STEPS, minimum=1, maximum=500, help="How many steps the features take towards the picture."
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
    presets = {"paper": {"steps": 100, "step_size": 1}}
    first_setting = "steps"

    def run(self, model, p, generators, frame):
        names = [name for name in model.decoders if name]
        decoder = model.decoder if p.normal is None else model.decoders[names[p.normal]]
        captions, begun = ("rebuilt as normal", "what does not fit"), None
        for step, rebuilt in enumerate(fitted(model, decoder, p.picture, p.steps, p.step_size)):
            score = residual(rebuilt, p.picture)
            pictures = torch.cat([rebuilt, heat(rebuilt, p.picture)])
            begun = pictures if begun is None else begun
            comparable = step == p.steps and (p.steps, p.step_size) == (STEPS, STEP_SIZE)
            words = f"score {score.item():.4f}" + (compared(score.item(), decoder) if comparable else "")
            yield frame(step, p.steps, pictures, score.expand(2), begun, captions=captions, note=words)


def fitted(model: RobustClassifier, decoder: Decoder, x: Tensor, steps: int, step_size: float):
    """What ``decoder`` makes of the features of ``x`` (N, 3, H, W), and after each step of theirs towards ``x``."""
    depth = decoder.depth
    with torch.no_grad():
        z = decoder.entered(model.maps(x, depth)[-1], depth)
        yield decoder.descended(z, depth)[-1]
    for state in iterate(
        lambda z: residual(decoder.descended(z, depth)[-1], x), z, L2(boxed=False), steps=steps, step_size=step_size
    ):
        with torch.no_grad():
            yield decoder.descended(state.pictures, depth)[-1]


def residual(rebuilt: Tensor, x: Tensor) -> Tensor:
    """The anomaly score: mean squared difference, (N, 3, H, W) twice -> (N,)."""
    return (rebuilt - x).square().flatten(1).mean(1)


def heat(rebuilt: Tensor, x: Tensor) -> Tensor:
    """Where they differ: black, red, yellow, white, (N, 3, H, W)."""
    window = max(1, round(WINDOW * x.shape[-1] / 64)) | 1
    level = F.avg_pool2d((rebuilt - x).abs().mean(1, keepdim=True), window, 1, window // 2, count_include_pad=False)
    level = 3 * level / HOTTEST
    return torch.cat([level, level - 1, level - 2], 1).clamp(0, 1)


def compared(score: float, decoder: Decoder) -> str:
    """How the score stands among those of held-out normal pictures, if the decoder knows them."""
    known = decoder.info.get("normal_scores")
    if not known:
        return ""
    return f", higher than {bisect.bisect_left(known, score) / len(known):.0%} of normal pictures that it never saw"
