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
"""Pixels a side over which the paper's heat map is averaged, at 64 pixels."""
STEPS, STEP_SIZE = 1, 2.0
"""With which decoders scored the normal pictures that they keep for comparison."""
HOTTEST = 0.8
"""What is white on the heat map of features, where no normal pictures are known to compare with."""
HOTTEST_PIXEL = 0.5
"""Mean absolute difference of pixels that is white on the paper's."""
DIM, THROUGH = 0.6, 0.4
"""How bright the grey picture is beside what is odd, and how much of the picture is seen through its colours."""
UNUSUAL = 0.9
"""The part of the normal pictures that a picture is odder than before it is called unusual."""
RELATIVE = ("everything", "nothing")
"""Over what the decoder of everything leaves, or plain."""
SHOWN = ("place", "rebuilt")
"""The heat map alone, or also what the decoders rebuild."""


class AnomalyDetection(Inversion):
    """Score how odd a picture is, and mark the place that does not belong.

    What a decoder of normal pictures cannot rebuild is odd.
    Rojas-Gomez et al. 2021: the residual after optimising the features (the preset "paper"). Ours is the residual of
    the decoded features, over what a decoder of everything leaves of the same features; its heat map compares features.
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
        "show": Choice(
            default=SHOWN[0],
            options=SHOWN,
            more=True,
            help="The place that does not fit alone, or also the pictures that the decoders rebuild.",
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
        relative = p.relative_to == RELATIVE[0] and decoder is not model.decoder
        kinds = ["what does not fit"]
        if p.show == SHOWN[1]:
            kinds += [f"rebuilt as {'normal' if p.normal is None else names[p.normal]}"]
            kinds += ["rebuilt as anything"] if relative else []
        captions = tuple(kind for kind in kinds for _ in p.picture) if len(kinds) > 1 else ()
        start = torch.cat([p.picture] * len(kinds))
        yield frame(0, p.steps, start, start.new_zeros(len(start)), start, captions=captions)
        misfit = feature_misfit(model, decoder, p.picture) if relative else None
        peaks = [None] * len(p.picture) if misfit is None else misfit.flatten(1).amax(1).tolist()
        states = anomaly_scores(model, decoder, p.picture, p.steps, p.step_size, relative=relative)
        for step, (rebuilt, usual, scores) in enumerate(states, 1):
            comparable = (p.relative_to, step, p.steps, p.step_size) == (RELATIVE[0], STEPS, STEPS, STEP_SIZE)
            notes = [
                describe(score, peak, decoder if comparable else None)
                for score, peak in zip(scores.tolist(), peaks, strict=True)
            ]
            level = pixel_misfit(rebuilt, p.picture) / HOTTEST_PIXEL if misfit is None else oddness(misfit, decoder)
            pictures = torch.cat([heat(level, p.picture), rebuilt, usual][: len(kinds)])
            loss = scores.repeat(len(kinds))
            yield frame(step, p.steps, pictures, loss, start, captions=captions, note="; ".join(notes))


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


@torch.no_grad()
def feature_misfit(model: Classifier, decoder: Decoder, x: Tensor) -> Tensor:
    """Where ``decoder`` keeps less of the features of ``x`` (N, 3, H, W) than the model's own does, (N, 1, H, W).

    Both decode a shallow stage, which knows where things are; the deeper stages of what they made are compared with
    those of ``x``: the squared difference, over the mean square of the stage.
    """
    everything = model.decoder
    assert everything is not None
    deepest = min(decoder.depth, everything.depth)
    shallow = max(1, deepest - 2)
    maps = model.maps(x, deepest)
    normal, usual = (model.maps(one(maps[shallow - 1], shallow), deepest) for one in (decoder, everything))
    levels = []
    for truth, ours, theirs in list(zip(maps, normal, usual, strict=True))[min(shallow, deepest - 1) :]:
        more = ((ours - truth).square() - (theirs - truth).square()).mean(1, keepdim=True)
        more = more / truth.square().mean((1, 2, 3), keepdim=True).clamp_min(1e-12)
        levels.append(F.interpolate(more, x.shape[2:], mode="bilinear"))
    return torch.stack(levels).mean(0)


def oddness(misfit: Tensor, decoder: Decoder) -> Tensor:
    """``misfit`` (N, 1, H, W) on the scale of the heat map.

    0 is the oddest place of half of the normal pictures, and 1 that of two in a hundred.
    """
    known = decoder.info.get("normal_peaks")
    if not known:
        return misfit / HOTTEST
    cold, hot = (known[round(part * (len(known) - 1))] for part in (0.5, 0.98))
    return (misfit - cold) / max(hot - cold, 1e-6)


def pixel_misfit(rebuilt: Tensor, x: Tensor) -> Tensor:
    """The mean absolute difference of pixels, a little blurred, (N, 3, H, W) twice -> (N, 1, H, W)."""
    window = max(1, round(WINDOW * x.shape[-1] / 64)) | 1
    level = (rebuilt - x).abs().mean(1, keepdim=True)
    return F.avg_pool2d(level, window, 1, window // 2, count_include_pad=False)


def heat(level: Tensor, x: Tensor) -> Tensor:
    """``level`` (N, 1, H, W) from 0 to 1 as red, yellow, white over ``x`` (N, 3, H, W), which is grey elsewhere.

    Where a picture's levels go beyond 1, its highest one is white.
    """
    level = 3 * (level / level.amax((1, 2, 3), keepdim=True).clamp_min(1)).clamp_min(0)
    colours = torch.cat([level, level - 1, level - 2], 1).clamp(0, 1)
    return torch.lerp(DIM * x.mean(1, keepdim=True), torch.lerp(colours, x, THROUGH), level.clamp(max=1))


def describe(score: float, peak: float | None, decoder: Decoder | None) -> str:
    """The score in words, and the ``peak`` of the heat map if the score is relative.

    decoder: which may know those of held-out normal pictures to compare with, None not to.
    """

    def part(value: float | None, name: str) -> float | None:
        known = None if decoder is None or value is None else decoder.info.get(name)
        return bisect.bisect_left(known, value) / len(known) if known else None

    words = f"score {score:.4f}" if peak is None else f"score {score:.2f} times the usual"
    whole, place = part(score, "normal_scores"), part(peak, "normal_peaks")
    if whole is None:
        return words
    if place is None:
        return f"{words}, higher than {whole:.0%} of normal pictures that it never saw"
    odd, strange = place >= UNUSUAL, whole >= UNUSUAL
    if odd:
        found = f"{place:.0%} of normal pictures have none so odd"
        if decoder is not None and place == 1:
            found = f"it is odder than any place in {len(decoder.info['normal_peaks'])} normal pictures"
        rest = "the whole is odd, too" if strange else "apart from it the picture is ordinary"
        words = f"one place does not fit: {found}; {rest}"
    else:
        rest = "but the whole is odd" if strange else "the whole is ordinary, too"
        words = f"no place is unusual: {1 - place:.0%} of normal pictures have an odder one; {rest}"
    return f"{words} (score {score:.2f}, above {whole:.0%} of theirs)" if strange else words
