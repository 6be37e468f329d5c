"""What is sought, as values: each objective maps pictures (N, 3, H, W) to losses (N,), and they add and scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from synth.classifier import Classifier
from synth.randomness import Randomness, draw

COLOURS = 0.3
"""Weight of colours against features in ``resemblance``."""
COMPARED = 4096
"""Places outside a hole that those inside are compared with, at most, which bounds the memory."""


@dataclass(frozen=True)
class Objective:
    """A loss a picture, to be minimised; ``a + b``, ``2 * a`` and ``-a`` are objectives too."""

    loss: Callable[[Tensor], Tensor]

    def __call__(self, x: Tensor) -> Tensor:
        return self.loss(x)

    def __add__(self, other: Objective) -> Objective:
        return Objective(lambda x: self(x) + other(x))

    def __mul__(self, factor: float) -> Objective:
        return Objective(lambda x: factor * self(x))

    __rmul__ = __mul__

    def __neg__(self) -> Objective:
        return self * -1


def cross_entropy(model: nn.Module, labels: Tensor) -> Objective:
    """Cross-entropy to ``labels`` (N,), or probabilities (N, K) of the classes: the paper's class loss."""
    return Objective(lambda x: F.cross_entropy(model(x).float(), labels, reduction="none"))


def logit(model: nn.Module, labels: Tensor) -> Objective:
    """Minus the logit of ``labels`` (N,): does not fade once the class is certain."""
    return Objective(lambda x: -model(x).gather(1, labels[:, None]).squeeze(1))


def activation(model: Classifier, unit: int) -> Objective:
    """Minus component ``unit`` of the representation R(x), with an identity gradient through its last ReLU."""
    return Objective(lambda x: -model.representation(x, identity_gradient=True)[:, unit])


def resemblance(model: Classifier, mask: Tensor, depths: tuple[int, ...] = (1, 2)) -> Objective:
    """How unlike anything outside ``mask`` (N or 1, 1, H, W) its inside is, in features and colours, at least 0.

    In the maps after each of ``depths`` stages: the mean of 1 minus the cosine between the features of a place inside
    and the nearest of those outside, less their mean. In colours: their squared distance, by the variance outside.
    As in Li and Wand 2016, "Combining Markov random fields and convolutional neural networks for image synthesis".
    """

    def loss(x: Tensor) -> Tensor:
        maps = model.maps(x, max(depths))
        height, width = maps[min(depths) - 1].shape[2:]
        losses = COLOURS * _unlike(F.adaptive_avg_pool2d(x, (height, width)), mask, _spread)
        for depth in depths:
            losses = losses + _unlike(maps[depth - 1], mask, _angle)
        return losses

    return Objective(loss)


def _unlike(maps: Tensor, mask: Tensor, scale: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> Tensor:
    """How far (N,) the places of ``maps`` (N, C, h, w) under ``mask`` are from the nearest others, squared, in mean."""
    inside = (F.adaptive_max_pool2d(mask, maps.shape[2:]) > 0).flatten(1).expand(len(maps), -1)
    losses = []
    for features, here in zip(maps.float().flatten(2).mT, inside, strict=True):
        outside = features[~here].detach()
        if not len(outside):
            losses.append(features.sum() * 0)
            continue
        mean = outside.mean(0)
        ours, theirs = scale(features[here] - mean, outside[:: -(-len(outside) // COMPARED)] - mean)
        with torch.no_grad():
            nearest = (ours @ theirs.T - theirs.square().sum(1) / 2).argmax(1)
        losses.append((ours - theirs[nearest]).square().sum(1).mean() / 2)
    return torch.stack(losses)


def _angle(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """Of length 1: half the squared distance is then 1 minus the cosine."""
    return F.normalize(ours), F.normalize(theirs)


def _spread(ours: Tensor, theirs: Tensor) -> tuple[Tensor, Tensor]:
    """In units in which half the squared distance is the squared distance by the variance of ``theirs``."""
    unit = (2 / theirs.square().sum(1).mean().clamp_min(1e-12)).sqrt()
    return ours * unit, theirs * unit


def feature_distance(model: Classifier, z: Tensor, depth: int) -> Objective:
    """The loss of inversion by optimisation: ||f(x) - z|| / ||z|| of the map after ``depth`` stages.

    Engstrom et al. 2019, "Adversarial robustness as a prior for learned representations".
    """
    size = z.flatten(1).norm(dim=1)
    return Objective(lambda x: (model.maps(x, depth)[-1] - z).flatten(1).norm(dim=1) / size)


def jittered(objective: Objective, most: int, generator: Randomness) -> Objective:
    """``objective`` of the pictures shifted by up to ``most`` pixels, each its own way each time.

    Averaged over the steps this removes the checkerboards that strided convolutions leave in gradients
    (Olah et al. 2017, "transformation robustness").
    """

    def loss(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        shift = (draw(x[:, 0, 0, :2].float(), generator, torch.rand) * (2 * most + 1)).long()  # bfloat16 rounds up to 1
        rows = shift[:, :1] + torch.arange(height, device=x.device)
        columns = shift[:, 1:] + torch.arange(width, device=x.device)
        picture = torch.arange(len(x), device=x.device)[:, None, None]
        padded = F.pad(x, [most] * 4, mode="reflect").permute(0, 2, 3, 1)
        return objective(padded[picture, rows[:, :, None], columns[:, None]].permute(0, 3, 1, 2))

    return Objective(loss) if most else objective


def cropped(objective: Objective, most: float, generator: Randomness) -> Objective:
    """``objective`` of a random part of each picture, at least 1 - ``most`` as wide, enlarged.

    What is right at one size and place alone, such as a second pair of eyes, does not last (Olah et al. 2017).
    """

    def loss(x: Tensor) -> Tensor:
        across = torch.zeros(len(x), 2, 3, device=x.device)
        rows, columns = random_part(x, most, generator).unbind(1)
        across[:, 0, 0], across[:, 0, 2] = columns.T
        across[:, 1, 1], across[:, 1, 2] = rows.T
        grid = F.affine_grid(across.to(x.dtype), list(x.shape), align_corners=False)
        return objective(F.grid_sample(x, grid, padding_mode="border", align_corners=False))

    return Objective(loss) if most else objective


def random_part(x: Tensor, most: float, generator: Randomness) -> Tensor:
    """A part of each picture (N, 3, H, W): (N, 2, 2), the factor and offset of its rows, then of its columns.

    Line u of the part, from -1 to 1, is line factor * u + offset of the picture.
    """
    size, down, right = draw(x[:, 0, 0, :3].float(), generator, torch.rand).T
    width = 1 - most * size
    offsets = (1 - width)[:, None] * (2 * torch.stack([down, right], 1) - 1)
    return torch.stack([width[:, None].expand(-1, 2), offsets], 2)


def smoothed(objective: Objective, strength: float) -> Objective:
    """``objective`` of the pictures blurred by a 3x3 binomial filter, mixed in by ``strength`` (0 to 1).

    At 1 no gradient reaches the finest frequency, so that steps cannot draw the checkerboards of a strided stem.
    """

    def loss(x: Tensor) -> Tensor:
        line = torch.tensor([strength / 4, 1 - strength / 2, strength / 4], device=x.device, dtype=x.dtype)
        kernel = (line[:, None] * line).expand(x.shape[1], 1, 3, 3)
        return objective(F.conv2d(F.pad(x, [1] * 4, mode="replicate"), kernel, groups=x.shape[1]))

    return Objective(loss) if strength else objective


def keep(reference: Tensor, weight: Tensor) -> Objective:
    """Mean squared change where ``weight`` (N or 1, 1, H, W) is 1: the second term of equations 3 and 5.

    Pictures of another size, as at a coarse step, are compared with the reference at theirs.
    """

    def loss(x: Tensor) -> Tensor:
        weigh, hold = (_sized(one, x) for one in (weight, reference))
        return (weigh * (x - hold)).square().flatten(1).mean(1)

    return Objective(loss)


def _sized(one: Tensor, x: Tensor) -> Tensor:
    size = x.shape[2:]
    return one if one.shape[2:] == size else F.interpolate(one, size, mode="bilinear", antialias=True)


def consistency(low: Tensor, degrade: Callable[[Tensor], Tensor]) -> Objective:
    """Mean squared difference between the degraded picture and the input of low resolution, ``low``."""
    return Objective(lambda x: (degrade(x) - low).square().flatten(1).mean(1))
