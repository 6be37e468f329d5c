"""What decoding robust features is worth: ``python -m bench.autoencoder TABLE --data FOLDER`` measures and prints one.

Tables: reconstruction, denoising, style, hybrid, anomaly, relative (anomaly, over what a decoder of everything leaves).
Robust against its standard twin, both with decoders of one recipe, on held-out pictures; means with 95 % intervals.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

import synth
from bench import anomaly
from synth import hub, metrics, pictures
from synth.classifier import Classifier
from synth.constraints import L2
from synth.drawings import styles
from synth.objectives import feature_distance
from synth.pgd import cosine, pgd
from synth.randomness import draw
from synth.tasks.style_transfer import whiten_and_colour
from training.card import table_of, write_card
from training.data import PICTURE_SUFFIXES, of
from training.intervals import mean
from training.loop import accelerate, machine
from training.restoration import figures
from training.samples import balanced, generate, judge_accuracy, judged, outputs, to_bytes

BATCH = 100
SIGMAS = (25, 50)
"""Of 255."""


def reconstruction(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Every depth of both, at the size of training and, of ``--larger`` pictures, at twice that; optimised, too."""
    data = balanced(of(model, "test", options.data), options.count)
    sets = {f"{model.image_size} px": (data[:][0], data.labels)}
    if options.larger:
        sets[f"{2 * model.image_size} px"] = (folder(options.larger, 2 * model.image_size), None)
    rows = []
    for size, (x, labels) in sets.items():
        for encoder in (model, twin):
            engine = encoder.inference_copy()
            for depth in range(1, encoder.decoder.depth + 1):
                made = batched(lambda part: engine.decoder(engine.maps(part, depth)[-1], depth), x)  # noqa: B023
                rows.append(
                    {"picture": f"{encoder.name}, depth {depth}", "size": size, **likeness(made, x, judge, labels)}
                )
            part, found = x[: options.optimised], []
            for some in part.split(BATCH):
                z, noise = engine.maps(some, engine.decoder.depth)[-1], draw(some, torch.Generator().manual_seed(0))
                start, sizes = (0.5 + 0.1 * noise).clamp(0, 1), cosine(some.shape[-1] / model.image_size)
                loss = feature_distance(engine, z, engine.decoder.depth)
                found.append(pgd(loss, start, L2(), steps=60, step_size=sizes))
            seen = None if labels is None else labels[: len(part)]
            name = f"{encoder.name}, depth {engine.decoder.depth}, optimised in 60 steps"
            rows.append({"picture": name, "size": size, **likeness(torch.cat(found), part, judge, seen)})
    return rows


def denoising(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Ours with the depth and skip that are best on training pictures, against classical denoisers told the noise."""
    data, tuning = (
        balanced(of(model, split, options.data), n) for split, n in (("test", options.count), ("train", 64))
    )
    rows = []
    for sigma in SIGMAS:
        x, noisy = noised(data[:][0], sigma, 0)
        known, tried = noised(tuning[:][0], sigma, 1)
        for encoder in (model, twin):
            engine = encoder.inference_copy()
            settings = [
                (depth, skip) for depth in range(1, engine.decoder.depth + 1) for skip in (0, 0.25, 0.5, 0.75, 1)
            ]
            scores = [metrics.psnr(cleaned(engine, tried, *one), known).mean().item() for one in settings]
            depth, skip = settings[scores.index(max(scores))]
            began = time.monotonic()
            made = cleaned(engine, noisy, depth, skip)
            seconds = (time.monotonic() - began) / len(x)
            name = f"{encoder.name}, depth {depth}, skip {skip:g}"
            found = likeness(made, x, judge, data.labels)
            rows.append({"picture": name, "sigma": sigma, **found, "ms": round(1000 * seconds, 2)})
        for name, method in classical(sigma / 255).items():
            some = options.slow if name == "BM3D" else len(x)
            began = time.monotonic()
            made = np.stack([method(one) for one in noisy[:some].permute(0, 2, 3, 1).numpy()])
            seconds = (time.monotonic() - began) / len(made)
            made = torch.from_numpy(made).permute(0, 3, 1, 2).float().clamp(0, 1)
            found = likeness(made, x[:some], judge, data.labels[:some])
            rows.append({"picture": name, "sigma": sigma, **found, "ms": round(1000 * seconds, 2)})
        rows.append({"picture": "noisy", "sigma": sigma, **likeness(noisy, x, judge, data.labels)})
    return rows


def style(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Gram distance to the style in the judge's maps, and SSIM to the content, of pictures in every bundled style."""
    size = 4 * model.image_size
    shown = {name: pictures.to_tensor(image.convert("RGB"), size) for name, image in styles().items()}
    if options.larger is None:
        raise ValueError("larger: expected a folder of pictures for the style table, got none")
    content = folder(options.larger, size)
    content = content[:: max(1, len(content) // options.count)][: options.count]
    eye, rows = judge.inference_copy(), []
    methods = {
        one.name: lambda x, s, one=one: synth.style_transfer(one, picture=x[0], style=s[0]).pictures
        for one in (model, twin)
    }
    methods["whitening and colouring of colours"] = lambda x, s: (x + 0.6 * (whiten_and_colour(x, s) - x)).clamp(0, 1)
    methods["the picture itself"] = lambda x, s: x
    for name, method in methods.items():
        pairs = [(method(x[None], s), x[None], s) for x in content for s in shown.values()]
        grams = [_gram_distance(eye, made, s) for made, _, s in pairs]
        kept = [structural_similarity_index_measure(made, x, data_range=1.0).item() for made, x, _ in pairs]
        rows.append({"picture": name, "gram": mean(grams), "ssim": mean(kept)})
    return rows


def hybrid(model: Classifier, twin: Classifier, judge: Classifier, options) -> list[dict]:
    """Generation with as many gradients in all: on pixels alone, and after a part of them on decoded features."""
    train, rows = of(model, "train", options.data), []
    reference, steps = balanced(train, 2000), model.presets["generation"]["tuned"]["steps"]
    for latent in (0, steps // 4, steps // 2):
        made = generate(
            model, options.count, accelerator=accelerate(), latent_steps=latent, steps=steps - latent, batch=25
        )
        found = judged(made.pictures, made.labels, reference.pictures, judge.inference_copy())
        shown = {key: found[key] for key in ("judge_accuracy", "judge_group_accuracy") if key in found}
        name = f"{latent} steps on features, {steps - latent} on pixels"
        rows.append({"picture": name, **shown, "fid": found["fid"], "ms": round(1000 * made.seconds, 1)})
    return rows


def likeness(made: Tensor, x: Tensor, judge: Classifier, labels: Tensor | None) -> dict:
    """PSNR, SSIM, the distance of the judge's representations, and how often it sees the true class."""
    seen, true = (outputs(judge, to_bytes(part)) for part in (made, x))
    apart = 1 - F.cosine_similarity(seen[0], true[0])
    found = {**figures(made, x), "judge_distance": mean(apart.tolist())}
    return found | ({} if labels is None else {"judge_accuracy": judge_accuracy(seen[1], labels)})


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
def cleaned(engine: Classifier, noisy: Tensor, depth: int, skip: float) -> Tensor:
    def clean(part: Tensor) -> Tensor:
        maps = engine.maps(part, depth)
        return engine.decoder(maps[-1], depth, maps, skip)

    return batched(clean, noisy)


def noised(x: Tensor, sigma: float, seed: int) -> tuple[Tensor, Tensor]:
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))
    return x, (x + sigma / 255 * noise).clamp(0, 1)


@torch.no_grad()
def batched(function, x: Tensor) -> Tensor:
    return torch.cat([function(part) for part in x.split(BATCH)])


def folder(path: Path, size: int) -> Tensor:
    """All pictures in a folder, (N, 3, size, size)."""
    files = [file for file in sorted(Path(path).iterdir()) if file.suffix.lower() in PICTURE_SUFFIXES]
    if not files:
        raise ValueError(f"larger: expected a folder of pictures, got {path}")
    return torch.cat([pictures.to_tensor(pictures.read(file), size) for file in files])


@torch.no_grad()
def _gram_distance(eye: Classifier, made: Tensor, style: Tensor) -> float:
    """Relative distance of the Gram matrices of the first three stages' maps, their mean."""
    found = []
    for a, b in zip(eye.maps(made, 3), eye.maps(style, 3), strict=True):
        one, other = (z[0].flatten(1) @ z[0].flatten(1).T / z[0][0].numel() for z in (a, b))
        found.append((one - other).norm() / other.norm())
    return torch.stack(found).mean().item()


TABLES = {
    "reconstruction": reconstruction,
    "denoising": denoising,
    "style": style,
    "hybrid": hybrid,
    "anomaly": anomaly.measure,
    "relative": partial(anomaly.measure, relative=True),
}


def record(folder: Path, name: str, rows: list[dict], command: str, minutes: float) -> None:
    """Put the rows into the checkpoint's evaluation.json, and rewrite its card."""
    path = folder / "evaluation.json"
    report = json.loads(path.read_text())
    found = {"rows": rows, "command": command, "minutes": round(minutes, 1), "machine": machine(accelerate())}
    report.setdefault("autoencoder", {})[name] = found
    path.write_text(json.dumps(report, indent=2) + "\n")
    write_card(folder)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.autoencoder", description=__doc__.splitlines()[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--checkpoint", default=hub.DEFAULT)
    parser.add_argument("--twin", default="tiny64-resnet18-slim-standard")
    parser.add_argument("--judge", default="tiny64-judge")
    parser.add_argument("--data", type=Path, help="folder of the checkpoint's data set (anomaly: of CIFAR-10)")
    parser.add_argument("--larger", type=Path, help="folder of larger pictures, for sizes that were not trained on")
    parser.add_argument("--count", type=int, default=500, help="pictures a row, at most")
    parser.add_argument("--optimised", type=int, default=100, help="pictures inverted by optimisation, at most")
    parser.add_argument("--slow", type=int, default=40, help="pictures for BM3D, which takes a second each, at most")
    parser.add_argument("--epochs", type=int, default=6, help="anomaly: of each decoder")
    parser.add_argument("--record", action="store_true", help="keep the figures in the checkpoint's card")
    options = parser.parse_args(arguments)
    began = time.monotonic()
    try:
        model, twin, judge = (hub.load(name) for name in (options.checkpoint, options.twin, options.judge))
        rows = TABLES[options.table](model, twin, judge, options)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    if options.record:
        given = arguments or sys.argv[1:]
        given = ["FOLDER" if before in ("--data", "--larger") else one for before, one in pairwise(["", *given])]
        command = shlex.join(["python", "-m", "bench.autoencoder", *given])
        record(hub.folder(options.checkpoint), options.table, rows, command, (time.monotonic() - began) / 60)
    print(table_of(rows))


if __name__ == "__main__":
    main()
