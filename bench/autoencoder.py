"""What decoding robust features is worth: ``python -m bench.autoencoder TABLE --data FOLDER`` prints one table.

Tables: reconstruction, denoising, style, hybrid, anomaly, relative (anomaly, in proportion to the residual of a decoder
of everything), places (where its heat map is hot). They compare the robust checkpoint with its standard twin, whose
decoders were trained with the same settings, on held-out pictures; the figures are means with 95 % intervals.
"""

from __future__ import annotations

import argparse
import itertools
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import synth
from bench import anomaly
from bench.runs import command_line
from synth import hub, metrics, pictures
from synth.classifier import Classifier
from synth.constraints import L2
from synth.examples import styles
from synth.objectives import feature_distance
from synth.pgd import cosine, pgd
from synth.randomness import draw
from synth.tasks.style_transfer import whiten_and_colour
from synth.version import VERSION
from training.card import write_card
from training.data import of
from training.evaluation import report
from training.evaluation.decoder_tables import DecoderTables
from training.evaluation.restoration import reference_figures
from training.intervals import mean
from training.judge import Reference, judge_accuracy, judge_samples, outputs
from training.machine import accelerate, machine
from training.sampling import balanced, generate, to_bytes
from training.sources import PICTURE_SUFFIXES
from training.tables import table_of

BATCH = 100
SIGMAS = (25, 50)
"""Standard deviations of the noise, in levels of 255."""


def reconstruction(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Every depth of both, at the size of training and, for ``--larger`` pictures, at twice that; also optimised."""
    data = balanced(of(model, "test", options.data), options.count)
    sets = {f"{model.image_size} px": (data[:][0], data.labels)}
    if options.larger:
        sets[f"{2 * model.image_size} px"] = (read_folder(options.larger, 2 * model.image_size), None)
    rows = []
    for size, (x, labels) in sets.items():
        for encoder in (model, twin):
            engine = encoder.inference_copy()
            for depth in range(1, encoder.decoder.depth + 1):
                images = in_batches(lambda part: engine.decoder(engine.maps(part, depth)[-1], depth), x)  # noqa: B023
                rows.append(
                    {"picture": f"{encoder.name}, depth {depth}", "size": size, **likeness(images, x, judge, labels)}
                )
            part, images = x[: options.optimised], []
            for some in part.split(BATCH):
                z, noise = engine.maps(some, engine.decoder.depth)[-1], draw(some, torch.Generator().manual_seed(0))
                start, sizes = (0.5 + 0.1 * noise).clamp(0, 1), cosine(some.shape[-1] / model.image_size)
                loss = feature_distance(engine, z, engine.decoder.depth)
                images.append(pgd(loss, start, L2(), steps=60, step_size=sizes))
            part_labels = None if labels is None else labels[: len(part)]
            name = f"{encoder.name}, depth {engine.decoder.depth}, optimised in 60 steps"
            rows.append({"picture": name, "size": size, **likeness(torch.cat(images), part, judge, part_labels)})
    return rows


def denoising(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Ours with the best settings on training pictures, against classical denoisers that know the noise."""
    data, tuning = (
        balanced(of(model, split, options.data), n) for split, n in (("test", options.count), ("train", 64))
    )
    rows = []
    for sigma in SIGMAS:
        x, tuning_x = data[:][0], tuning[:][0]
        noisy, tuning_noisy = add_noise(x, sigma, 0), add_noise(tuning_x, sigma, 1)
        for encoder in (model, twin):
            engine = encoder.inference_copy()
            depths = range(1, engine.decoder.depth + 1)
            settings = list(itertools.product(depths, (0, 0.25, 0.5, 0.75, 1), (0, 0.1, 0.2, 0.3, 0.4)))
            scores = [metrics.psnr(denoise(engine, tuning_noisy, *one), tuning_x).mean().item() for one in settings]
            best = settings[scores.index(max(scores))]
            start = time.monotonic()
            images = denoise(engine, noisy, *best)
            seconds = (time.monotonic() - start) / len(x)
            name = "{}, depth {}, skip {:g}, kept {:g}".format(encoder.name, *best)
            figures = likeness(images, x, judge, data.labels)
            rows.append({"picture": name, "sigma": sigma, **figures, "ms": round(1000 * seconds, 2)})
        for name, method in classical(sigma / 255).items():
            count = options.slow if name == "BM3D" else len(x)
            start = time.monotonic()
            arrays = np.stack([method(one) for one in noisy[:count].permute(0, 2, 3, 1).numpy()])
            seconds = (time.monotonic() - start) / len(arrays)
            images = torch.from_numpy(arrays).permute(0, 3, 1, 2).float().clamp(0, 1)
            figures = likeness(images, x[:count], judge, data.labels[:count])
            rows.append({"picture": name, "sigma": sigma, **figures, "ms": round(1000 * seconds, 2)})
        rows.append({"picture": "noisy", "sigma": sigma, **likeness(noisy, x, judge, data.labels)})
    return rows


def style(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Gram distance to the style in the judge's maps, and SSIM to the content, for every bundled style."""
    size = 4 * model.image_size
    references = {name: pictures.to_tensor(image.convert("RGB"), size) for name, image in styles().items()}
    if options.larger is None:
        raise ValueError("larger: expected a folder of pictures for the style table, got none")
    content = read_folder(options.larger, size)
    content = content[:: max(1, len(content) // options.count)][: options.count]
    judge, rows = judge.inference_copy(), []
    methods = {
        one.name: lambda x, s, one=one: synth.style_transfer(one, picture=x[0], style=s[0]).pictures
        for one in (model, twin)
    }
    methods["whitening and colouring of colours"] = lambda x, s: (x + 0.6 * (whiten_and_colour(x, s) - x)).clamp(0, 1)
    methods["the picture itself"] = lambda x, s: x
    for name, method in methods.items():
        pairs = [(method(x[None], s), x[None], s) for x in content for s in references.values()]
        grams = [_gram_distance(judge, images, s) for images, _, s in pairs]
        ssim = [metrics.ssim(images, x).item() for images, x, _ in pairs]
        rows.append({"picture": name, "gram": mean(grams), "ssim": mean(ssim)})
    return rows


def hybrid(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Generation with the same number of gradients: on pixels alone, and with a part of them on decoded features."""
    train, rows = of(model, "train", options.data), []
    reference = Reference(judge.inference_copy(), balanced(train, 2000).pictures)
    steps = model.presets["generation"]["tuned"]["steps"]
    for latent in (0, steps // 4, steps // 2):
        samples = generate(
            model, options.count, accelerator=accelerate(), latent_steps=latent, steps=steps - latent, batch=25
        )
        figures = judge_samples(samples.pictures, samples.labels, reference)
        shown = {key: figures[key] for key in ("judge_accuracy", "judge_group_accuracy", "fid") if key in figures}
        name = f"{latent} steps on features, {steps - latent} on pixels"
        rows.append({"picture": name, **shown, "ms": round(1000 * samples.seconds, 1)})
    return rows


def likeness(images: Tensor, x: Tensor, judge: Classifier, labels: Tensor | None) -> dict:
    """PSNR, SSIM, the distance of the judge's representations, and how often it predicts the true class."""
    (features, logits), (true_features, _) = (outputs(judge, to_bytes(part)) for part in (images, x))
    distance = 1 - F.cosine_similarity(features, true_features)
    figures = {**reference_figures(images, x), "judge_distance": mean(distance.tolist())}
    return figures | ({} if labels is None else {"judge_accuracy": judge_accuracy(logits, labels)})


def classical(sigma: float) -> dict:
    """Denoisers of well-kept libraries for pictures (H, W, 3) in [0, 1] with noise of deviation ``sigma``."""
    try:
        import bm3d
        from skimage import restoration
    except ImportError as error:
        raise ValueError(f"denoising: expected pip install bm3d scikit-image, since {error.name} is not here") from None
    return {
        "bilateral filter": lambda x: restoration.denoise_bilateral(
            x, sigma_color=2 * sigma, sigma_spatial=1.5, channel_axis=-1
        ),
        "non-local means": lambda x: restoration.denoise_nl_means(
            x, 5, 9, 0.7 * sigma, sigma=sigma, fast_mode=True, channel_axis=-1
        ),
        "total variation": lambda x: restoration.denoise_tv_chambolle(x, weight=1.2 * sigma, channel_axis=-1),
        "BM3D": lambda x: bm3d.bm3d_rgb(x, sigma),
    }


@torch.no_grad()
def denoise(engine: Classifier, noisy: Tensor, depth: int, skip: float, kept: float) -> Tensor:
    def decode(part: Tensor) -> Tensor:
        maps = engine.maps(part, depth)
        return torch.lerp(engine.decoder(maps[-1], depth, maps, skip), part, kept)

    return in_batches(decode, noisy)


def add_noise(x: Tensor, sigma: float, seed: int) -> Tensor:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return (x + sigma / 255 * noise).clamp(0, 1)


@torch.no_grad()
def in_batches(function, x: Tensor) -> Tensor:
    return torch.cat([function(part) for part in x.split(BATCH)])


def read_folder(path: Path, size: int) -> Tensor:
    """All pictures in a folder, (N, 3, size, size)."""
    files = [file for file in sorted(Path(path).iterdir()) if file.suffix.lower() in PICTURE_SUFFIXES]
    if not files:
        raise ValueError(f"larger: expected a folder of pictures, got {path}")
    return torch.cat([pictures.to_tensor(pictures.read(file), size) for file in files])


@torch.no_grad()
def _gram_distance(judge: Classifier, images: Tensor, style: Tensor) -> float:
    """The mean relative distance between the Gram matrices of the maps of the first three stages."""
    distances = []
    for a, b in zip(judge.maps(images, 3), judge.maps(style, 3), strict=True):
        one, other = (z[0].flatten(1) @ z[0].flatten(1).T / z[0][0].numel() for z in (a, b))
        distances.append((one - other).norm() / other.norm())
    return torch.stack(distances).mean().item()


TABLES = {
    "reconstruction": reconstruction,
    "denoising": denoising,
    "style": style,
    "hybrid": hybrid,
    "anomaly": anomaly.measure,
    "relative": partial(anomaly.measure, relative=True),
    "places": anomaly.places,
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.autoencoder", description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--checkpoint", default=hub.DEFAULT)
    parser.add_argument("--twin", default="tiny64-resnet18-slim-standard")
    parser.add_argument("--judge", default="tiny64-judge")
    parser.add_argument("--data", type=Path, help="folder of the checkpoint's data set (anomaly: of CIFAR-10)")
    parser.add_argument("--larger", type=Path, help="folder of larger pictures, for sizes that were not trained on")
    parser.add_argument("--count", type=int, default=500, help="pictures per row")
    parser.add_argument("--optimised", type=int, default=100, help="pictures to invert by optimisation")
    parser.add_argument("--slow", type=int, default=40, help="pictures for BM3D, which takes a second for each")
    parser.add_argument("--epochs", type=int, default=6, help="anomaly: epochs of each decoder")
    parser.add_argument(
        "--record", action="store_true", help="store the table in the checkpoint's evaluation.json and card"
    )
    options = parser.parse_args(arguments)
    start = time.monotonic()
    try:
        model, twin, judge = (hub.load(name) for name in (options.checkpoint, options.twin, options.judge))
        rows = TABLES[options.table](model, twin, judge, options)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    if options.record:
        command = command_line("bench.autoencoder", arguments)
        minutes = round((time.monotonic() - start) / 60, 1)
        run = {"minutes": minutes, "machine": machine(accelerate()), "version": VERSION}
        report.store(model.folder, DecoderTables(), {options.table: {"rows": rows}}, command, run)
        write_card(model.folder)
    print(table_of(rows))


if __name__ == "__main__":
    main()
