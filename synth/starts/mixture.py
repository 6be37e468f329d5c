"""The start with several modes."""

import torch
from torch import Tensor

from synth.starts.base import Components, Start


class Mixture(Start):
    """A mixture of Gaussians in the principal components of a class, one on each of its k-means clusters."""

    name = "mixture"
    order = 2
    tensors = {"mean": "CD", "basis": "CKD", "weights": "CM", "centers": "CMK", "factors": "CMKK"}
    options = {"mixture": 4}

    def fit(self, components: Components, generator: torch.Generator, options: dict[str, int]) -> dict[str, Tensor]:
        """Weights (M,), means (M, K) and Cholesky factors (M, K, K) of the Gaussians, beside the components."""
        points, mixture = components.coordinates, options["mixture"]
        centers = points[torch.randperm(len(points), generator=generator)[:mixture]]
        if len(centers) < mixture:
            centers = centers[torch.arange(mixture) % len(centers)]
        for _ in range(25):
            nearest = torch.cdist(points, centers).argmin(1)
            clusters = [points[nearest == part] for part in range(mixture)]
            pairs = zip(clusters, centers, strict=True)
            centers = torch.stack([cluster.mean(0) if len(cluster) else center for cluster, center in pairs])
        weights = torch.bincount(nearest, minlength=mixture).float() / len(points)
        factors = []
        for part in range(mixture):
            offset = points[nearest == part] - centers[part]
            covariance = offset.T @ offset / max(1, len(offset))
            ridge = 1e-4 * covariance.diagonal().mean() + 1e-6
            factors.append(torch.linalg.cholesky(covariance + ridge * torch.eye(points.shape[1])))
        shared = {"mean": components.mean, "basis": components.basis}
        return shared | {"weights": weights, "centers": centers, "factors": torch.stack(factors)}

    def draw(self, tensors, size, generator):
        part = torch.multinomial(tensors["weights"], 1, generator=generator).item()
        offset = torch.randn(tensors["basis"].shape[0], generator=generator)
        return tensors["mean"], (tensors["centers"][part] + tensors["factors"][part] @ offset) @ tensors["basis"]
