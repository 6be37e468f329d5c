"""What synthesis starts from: the statistics of many samples, and their reproducibility."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from synth.randomness import Generators
from synth.start import KINDS, TRUNCATION, Start, noise
from tests.conftest import make_start

SMALL = make_start(classes=2, components=5, side=4, spread=0.1)
COUNT = 4000


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def coordinates(kind, label=1, start=SMALL, count=COUNT):
    """Samples less the class mean, in the class's components: (count, K)."""
    samples = start.sample(kind, torch.full((count,), label), 4, generator=seeded())
    offset = samples.flatten(1) - start.mean[label]
    inside = offset @ start.basis[label].T
    torch.testing.assert_close(inside @ start.basis[label], offset, atol=1e-5, rtol=0)
    return inside


def test_gaussian_has_the_mean_and_covariance_of_its_class():
    found = coordinates("gaussian")
    deviation = SMALL.deviation[1]
    assert (found.mean(0).abs() < 4 * deviation / COUNT**0.5).all()
    torch.testing.assert_close(found.std(0), deviation, rtol=0.06, atol=0)
    assert (torch.corrcoef(found.T) - torch.eye(5)).abs().max() < 0.08


def test_pca_keeps_the_components_of_most_of_the_variance():
    found = coordinates("pca", count=200)
    kept = (found.std(0) > 1e-4).sum().item()
    explained = SMALL.deviation[1].square().cumsum(0) / SMALL.variance[1]
    assert 0 < kept < 5
    assert explained[kept - 1] >= TRUNCATION > explained[kept - 2]
    torch.testing.assert_close(found[:, :kept].std(0), SMALL.deviation[1, :kept], rtol=0.2, atol=0)


@pytest.mark.parametrize("part", [0, 1])
def test_each_part_of_the_mixture_has_its_center_and_covariance(part):
    one = dataclasses.replace(SMALL, weights=torch.eye(2)[part].expand(2, -1))
    found = coordinates("mixture", start=one)
    covariance = SMALL.factors[1, part] @ SMALL.factors[1, part].T
    deviation = covariance.diagonal().sqrt()
    assert ((found.mean(0) - SMALL.centers[1, part]).abs() < 4 * deviation / COUNT**0.5).all()
    error = (found.T.cov() - covariance).abs() / (deviation[:, None] * deviation)
    assert error.max() < 0.1


def test_mixture_draws_its_parts_by_weight():
    far = dataclasses.replace(SMALL, factors=SMALL.factors * 1e-3)
    found = coordinates("mixture", start=far)
    nearest = torch.cdist(found, far.centers[1]).argmin(1)
    assert nearest.float().mean().item() == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "noise"])
def test_scale_measures_from_the_mean(kind):
    labels = torch.tensor([1, 0])
    zero, one, half = (SMALL.sample(kind, labels, 4, scale=scale, generator=seeded()) for scale in (0, 1, 0.5))
    mean = SMALL.mean[labels].view(2, 3, 4, 4)
    torch.testing.assert_close(zero, mean)
    torch.testing.assert_close(half - mean, (one - mean) / 2, atol=1e-6, rtol=1e-4)
    assert torch.equal(one, mean) == (kind == "mean")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("randomness", [seeded, Generators], ids=["one generator", "one a picture"])
def test_same_seed_same_pictures_whatever_follows(kind, randomness):
    def sample(count, seed):
        labels = torch.arange(count) % 2
        if kind == "noise":
            return noise(labels, 16, generator=randomness(seed))
        return SMALL.sample(kind, labels, 16, generator=randomness(seed))

    assert torch.equal(sample(4, 0), sample(4, 0))
    assert torch.equal(sample(4, 0)[:2], sample(2, 0))
    assert torch.equal(sample(4, 0), sample(4, 1)) == (kind == "mean")
    assert sample(4, 0).unique(dim=0).shape[0] == (2 if kind == "mean" else 4)


def test_samples_are_enlarged_and_in_range():
    start = make_start(spread=30)
    pictures = start.sample("gaussian", torch.tensor([0, 1]), 64, generator=seeded())
    assert pictures.shape == (2, 3, 64, 64)
    assert pictures.min() == 0 and pictures.max() == 1
    mean = F.interpolate(SMALL.mean[:1].view(1, 3, 4, 4), (8, 8), mode="bilinear", antialias=True)
    torch.testing.assert_close(SMALL.sample("mean", torch.tensor([0]), 8), mean)


def test_noise_is_grey_with_a_quarter_deviation():
    pictures = noise(torch.zeros(8), 32, scale=0.5, generator=seeded())
    assert pictures.shape == (8, 3, 32, 32)
    assert pictures.mean().item() == pytest.approx(0.5, abs=0.005)
    assert pictures.std().item() == pytest.approx(0.125, rel=0.02)
    assert (noise(torch.zeros(2), 8, scale=0) == 0.5).all()


def test_model_seeds_are_the_samples(model):
    labels = torch.tensor([3, 1])
    expected = model.start.sample("mixture", labels, 32, scale=0.5, generator=seeded())
    assert torch.equal(model.seeds("mixture", labels, scale=0.5, generator=seeded()), expected)
    assert torch.equal(model.seeds("noise", labels, generator=seeded()), noise(labels, 32, generator=seeded()))


def test_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    for kind in KINDS:
        SMALL.sample(kind, torch.tensor([0, 1]), 4, generator=Generators(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_saved_statistics_come_back_in_half_precision(tmp_path):
    SMALL.save(tmp_path / "start.safetensors")
    loaded = Start.load(tmp_path / "start.safetensors")
    for field in dataclasses.fields(Start):
        tensor = getattr(SMALL, field.name)
        torch.testing.assert_close(getattr(loaded, field.name), tensor.half())
    for kind in ("gaussian", "pca", "mixture", "mean"):
        one, other = (start.sample(kind, torch.tensor([0, 1]), 4, generator=seeded()) for start in (SMALL, loaded))
        torch.testing.assert_close(one, other, atol=2e-3, rtol=0)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "other names", "missing"])
def test_a_damaged_file_is_one_sentence(tmp_path, damage):
    path = tmp_path / "start.safetensors"
    SMALL.save(path)
    if damage == "other names":
        save_file({"mean": torch.zeros(2, 48)}, path)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": path.read_bytes()[:-10], "text": b"not a tensor"}[damage])
    with pytest.raises(ValueError, match=r"^start: expected a whole start.safetensors, got [^\n]+$"):
        Start.load(path)


def test_statistics_of_wrong_shapes_are_refused(tmp_path):
    dataclasses.replace(SMALL, deviation=SMALL.deviation[:, :3]).save(tmp_path / "start.safetensors")
    with pytest.raises(ValueError, match=r"^start: expected"):
        Start.load(tmp_path / "start.safetensors")
