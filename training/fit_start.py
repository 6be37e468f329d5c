"""Fit where synthesis starts: ``python -m training.fit_start CHECKPOINT --data FOLDER`` writes start.safetensors."""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
from torch import Tensor

from synth import hub, seal
from synth.start import Start
from training.data import Pictures, of


def fit(data: Pictures, *, components: int = 96, mixture: int = 4, side: int = 32, seed: int = 0) -> Start:
    """Class-conditional statistics of ``data``, shrunk to ``side`` pixels if larger (as the paper does, by pooling).

    components: principal components kept a class; at most one fewer than its pictures.
    mixture: Gaussians of the mixture, fitted by k-means in those components.
    """
    fitted = [_fit_class(data, label, components, mixture, side, seed) for label in range(len(data.classes))]
    return Start(*(torch.stack(parts) for parts in zip(*fitted, strict=True)))


def _fit_class(data: Pictures, label: int, components: int, mixture: int, side: int, seed: int) -> tuple[Tensor, ...]:
    pictures, _ = data[data.labels == label]
    if pictures.shape[-1] > side:
        pictures = F.interpolate(pictures, (side, side), mode="area")
    flat = pictures.flatten(1)
    mean = flat.mean(0)
    centred = flat - mean
    count = min(components, len(flat) - 1, flat.shape[1])
    if len(flat) < flat.shape[1]:
        _, singular, rows = torch.linalg.svd(centred, full_matrices=False)
        variances, basis = singular.square() / (len(flat) - 1), rows
    else:
        values, vectors = torch.linalg.eigh(centred.T @ centred / (len(flat) - 1))
        variances, basis = values.flip(0), vectors.T.flip(0)
    basis, variance = basis[:count], variances.sum()
    coordinates = centred @ basis.T
    weights, centers, factors = _mixture(coordinates, mixture, torch.Generator().manual_seed(seed + label))
    return mean, basis, variances[:count].clamp_min(0).sqrt(), variance, weights, centers, factors


def _mixture(points: Tensor, parts: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Weights (M,), means (M, K) and Cholesky factors (M, K, K) of Gaussians on the k-means clusters of (N, K)."""
    centers = points[torch.randperm(len(points), generator=generator)[:parts]]
    if len(centers) < parts:
        centers = centers[torch.arange(parts) % len(centers)]
    for _ in range(25):
        nearest = torch.cdist(points, centers).argmin(1)
        centers = torch.stack(
            [points[nearest == part].mean(0) if (nearest == part).any() else centers[part] for part in range(parts)]
        )
    weights = torch.bincount(nearest, minlength=parts).float() / len(points)
    factors = []
    for part in range(parts):
        offset = points[nearest == part] - centers[part]
        covariance = offset.T @ offset / max(1, len(offset))
        ridge = 1e-4 * covariance.diagonal().mean() + 1e-6
        factors.append(torch.linalg.cholesky(covariance + ridge * torch.eye(points.shape[1])))
    return weights, centers, torch.stack(factors)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m training.fit_start", description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", help="a bundled name or a folder")
    parser.add_argument("--data", help="folder or Hub data set instead of the checkpoint's own")
    parser.add_argument("--components", type=int, default=96, help="principal components a class")
    parser.add_argument("--side", type=int, default=32, help="pixels that larger pictures are shrunk to")
    parser.add_argument("--mixture", type=int, default=4, help="Gaussians a class in the mixture")
    options = parser.parse_args(arguments)
    try:
        model = hub.load(options.checkpoint)
        data = of(model, "train", options.data)
        start = fit(data, components=options.components, mixture=options.mixture, side=options.side)
    except ValueError as error:
        parser.exit(2, f"{error}\n")
    path = hub.folder(options.checkpoint) / "start.safetensors"
    start.save(path)
    seal.write(path.parent, model, model.image_size)
    kept = (start.deviation.square().sum(1) / start.variance).mean()
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB, {kept:.1%} of the variance")


if __name__ == "__main__":
    main()
