"""Anomaly detection, for ``bench.autoencoder``.

One-vs-rest on CIFAR-10 by a decoder of each class and its residuals, and where the heat map finds a pasted part.
"""

from __future__ import annotations

import copy
import tempfile
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc

from synth.autoencoder import Decoder
from synth.classifier import Classifier
from synth.objectives import feature_distance
from synth.tasks.anomaly_detection import anomaly_scores, feature_misfit, pixel_misfit
from training import loop, machine
from training.data import Pictures, load, of
from training.intervals import mean
from training.sampling import balanced
from training.train_decoder import DecoderConfig, DecoderTrainer, train

SIZE = 32
"""Pixels of CIFAR-10's pictures; encoder and decoder take any size."""
DEPTH = 3
STEPS, STEP_SIZE = 5, 2.0
BATCH = 250
PASTED, PLACES = 4, 25
"""By how much what is pasted is shrunk, and how many pictures at a time."""


def measure(model: Classifier, twin: Classifier, judge: Classifier, options, *, relative: bool = False) -> list[dict]:
    """AUROC of each class against the rest, for decoders of that class's training pictures alone.

    The scores are the residual of the decoded features, the residual after optimising these, and the distance between
    the features of the decoded picture and those of the picture; with ``relative`` only the first, divided by the
    residual of the checkpoint's own decoder, which was not trained on this data. The baseline, absent there, learns
    encoder and decoder of the same shape together, from random weights. The bundled 64-pixel classifiers began with
    weights from CIFAR-10, so that all but the baseline have learned from labels of the anomalies.
    """
    source = options.data or "uoft-cs/cifar10"
    data, test = load(source, "train", SIZE), balanced(load(source, "test", SIZE), options.count)
    areas: dict[str, list[float]] = {}
    for label, name in enumerate(data.classes):
        normal, odd = data.only([name]), (test.labels != label).long()
        config = DecoderConfig(depth=DEPTH, deepest=1, feature=0, stages=0, epochs=options.epochs, validation=0)
        for encoder in (model, twin) if relative else (model, twin, None):
            title = "plain autoencoder" if encoder is None else encoder.name
            with tempfile.TemporaryDirectory() as folder:
                if encoder is None:
                    blank = Classifier(model.architecture, model.classes, model.image_size, model.width)
                    engine, decoder = together(config, blank, normal)
                else:
                    decoder = train(config, encoder, normal, Path(folder), quiet=True)
                    engine = encoder.inference_copy()
            for kind, values in scores(engine, decoder.inference_copy(), test[:][0], relative).items():
                areas.setdefault(f"{title}, {kind}", []).append(auroc(values, odd))
                print(f"{name}, {title}, {kind}: {areas[f'{title}, {kind}'][-1]:.3f}", flush=True)
    return [
        {
            "picture": title,
            **dict(zip(data.classes, (round(one, 3) for one in values), strict=True)),
            "all": mean(values),
        }
        for title, values in areas.items()
    ]


def places(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """AUROC of the pixels under a shrunk picture that was pasted into a normal one, by two heat maps.

    What is pasted shows something else, or, as a control, something normal too. Normal is what the first decoder with
    a name has seen.
    """
    name = next(filter(None, model.decoders), None)
    if name is None:
        raise ValueError(f"checkpoint: expected one with a decoder of normal pictures, got {model.name}")
    engine, data = model.inference_copy(), of(model, "test", options.data)
    decoder, everything = engine.decoders[name], engine.decoder
    known = set(decoder.info["classes"])
    shuffled = torch.randperm(len(data), generator=torch.Generator().manual_seed(0)).tolist()
    normal = [index for index in shuffled if data.classes[int(data.labels[index])] in known]
    odd = [index for index in shuffled if data.classes[int(data.labels[index])] not in known]
    count = min(options.count, len(normal) // 2, len(odd))
    areas: dict[str, list[float]] = {}
    for title, others in (("something else", odd), (f"another {name}", normal[count:])):
        generator = torch.Generator().manual_seed(1)
        for begin in range(0, count, PLACES):
            indices = slice(begin, min(begin + PLACES, count))
            x, mask = paste(data[torch.tensor(normal[indices])][0], data[torch.tensor(others[indices])][0], generator)
            with torch.no_grad():
                z = engine.maps(x, decoder.depth)[-1]
                ours, usual = (pixel_misfit(one(z, decoder.depth), x) for one in (decoder, everything))
            for kind, level in {"features": feature_misfit(engine, decoder, x), "pixels": ours - usual}.items():
                found = [auroc(one.flatten(), where.flatten()) for one, where in zip(level, mask, strict=True)]
                areas.setdefault(f"{title}, {kind}", []).extend(found)
    return [{"picture": title, "auroc": mean(values)} for title, values in areas.items()]


def paste(x: Tensor, others: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """``x`` (N, 3, S, S) with ``others``, shrunk, anywhere inside, and where they are, (N, 1, S, S), 1 or 0."""
    side = x.shape[-1] // PASTED
    small, x = F.interpolate(others, (side, side), mode="bilinear", antialias=True), x.clone()
    mask = torch.zeros_like(x[:, :1], dtype=torch.long)
    for one, where, patch in zip(x, mask, small, strict=True):
        top, left = torch.randint(0, x.shape[-1] - side + 1, (2,), generator=generator).tolist()
        one[:, top : top + side, left : left + side] = patch
        where[:, top : top + side, left : left + side] = 1
    return x, mask


def scores(engine: Classifier, decoder: Decoder, x: Tensor, relative: bool) -> dict[str, Tensor]:
    """Scores (N,) of pictures, by name."""
    parts: dict[str, list[Tensor]] = {}
    for part in x.split(BATCH):
        if relative:
            ((*_, values),) = anomaly_scores(engine, decoder, part, relative=True)
            parts.setdefault("decoded, relative", []).append(values)
            continue
        decoded, *_, optimised = anomaly_scores(engine, decoder, part, 1 + STEPS, STEP_SIZE, relative=False)
        kinds = {"decoded": decoded[-1], f"optimised in {STEPS} steps": optimised[-1]}
        with torch.no_grad():
            z = engine.maps(part, decoder.depth)[-1]
            kinds["decoded, in features"] = feature_distance(engine, z, decoder.depth)(decoded[0])
        for kind, values in kinds.items():
            parts.setdefault(kind, []).append(values)
    return {kind: torch.cat(values) for kind, values in parts.items()}


def auroc(scores: Tensor, odd: Tensor) -> float:
    """The probability that an odd picture (1 in ``odd``) scores higher than a normal one, ties counting half."""
    ranks = scores.argsort().argsort().float() / len(scores)  # binary_auroc takes probabilities
    return binary_auroc(ranks, odd).item()


def together(config: DecoderConfig, blank: Classifier, data: Pictures) -> tuple[Classifier, Decoder]:
    """A plain autoencoder: the encoder learns with the decoder; the same shape, pictures and steps."""
    trainer = PlainTrainer(config, blank, data, machine.accelerate())
    for batch in loop.batches(len(data), config):
        trainer.step(replace(batch, pictures=data[batch.indices][0]))
    return trainer.encoder.eval().requires_grad_(False), trainer.decoder.eval()


class PlainTrainer(DecoderTrainer):
    """A decoder whose encoder learns with it."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.encoder = copy.deepcopy(self.source).train()
        self.optimizer.add_param_group({"params": list(self.encoder.parameters())})

    def maps(self, x: Tensor, depth: int) -> list[Tensor]:
        return self.encoder.maps(x, depth)
