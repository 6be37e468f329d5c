"""What synthesis starts from: the statistics of many samples, and their reproducibility."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import synth
from synth import checkpoint, starts
from synth.randomness import Generators
from synth.starts import STARTS
from synth.starts.pca import TRUNCATION
from tests.conftest import make_model, make_start
from training.fit_start import fit

SMALL = make_start(classes=2, components=5, side=4, spread=0.1)
COUNT = 4000
FITTED = [name for name, start in STARTS.items() if start.tensors]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def coordinates(name, label=1, tensors=SMALL, count=COUNT):
    """Samples less the class mean, in the class's components: (count, K)."""
    samples = STARTS[name].sample(tensors, torch.full((count,), label), 4, generator=seeded())
    offset = samples.flatten(1) - tensors["mean"][label]
    inside = offset @ tensors["basis"][label].T
    torch.testing.assert_close(inside @ tensors["basis"][label], offset, atol=1e-5, rtol=0)
    return inside


def test_the_published_start_comes_first():
    assert list(STARTS) == ["gaussian", "mixture", "pca", "mean", "noise"]


def test_gaussian_has_the_mean_and_covariance_of_its_class():
    points, deviation = coordinates("gaussian"), SMALL["deviation"][1]
    assert (points.mean(0).abs() < 4 * deviation / COUNT**0.5).all()
    torch.testing.assert_close(points.std(0), deviation, rtol=0.06, atol=0)
    assert (torch.corrcoef(points.T) - torch.eye(5)).abs().max() < 0.08


def test_pca_keeps_the_components_of_most_of_the_variance():
    points = coordinates("pca", count=200)
    kept = (points.std(0) > 1e-4).sum().item()
    explained = SMALL["deviation"][1].square().cumsum(0) / SMALL["variance"][1]
    assert 0 < kept < 5
    assert explained[kept - 1] >= TRUNCATION > explained[kept - 2]
    torch.testing.assert_close(points[:, :kept].std(0), SMALL["deviation"][1, :kept], rtol=0.2, atol=0)


@pytest.mark.parametrize("part", [0, 1])
def test_each_part_of_the_mixture_has_its_center_and_covariance(part):
    points = coordinates("mixture", tensors=SMALL | {"weights": torch.eye(2)[part].expand(2, -1)})
    factor, center = SMALL["factors"][1, part], SMALL["centers"][1, part]
    covariance = factor @ factor.T
    deviation = covariance.diagonal().sqrt()
    assert ((points.mean(0) - center).abs() < 4 * deviation / COUNT**0.5).all()
    error = (points.T.cov() - covariance).abs() / (deviation[:, None] * deviation)
    assert error.max() < 0.1


def test_mixture_draws_its_parts_by_weight():
    points = coordinates("mixture", tensors=SMALL | {"factors": SMALL["factors"] * 1e-3})
    nearest = torch.cdist(points, SMALL["centers"][1]).argmin(1)
    assert nearest.float().mean().item() == pytest.approx(0.7, abs=0.03)


@pytest.mark.parametrize("name", FITTED)
def test_scale_measures_from_the_mean(name):
    labels = torch.tensor([1, 0])
    zero, one, half = (STARTS[name].sample(SMALL, labels, 4, scale=scale, generator=seeded()) for scale in (0, 1, 0.5))
    mean = SMALL["mean"][labels].view(2, 3, 4, 4)
    torch.testing.assert_close(zero, mean)
    torch.testing.assert_close(half - mean, (one - mean) / 2, atol=1e-6, rtol=1e-4)
    assert torch.equal(one, mean) != STARTS[name].random


@pytest.mark.parametrize("name", STARTS)
@pytest.mark.parametrize("randomness", [seeded, Generators], ids=["one generator", "one per picture"])
def test_same_seed_same_pictures_whatever_follows(name, randomness):
    def sample(count, seed):
        return STARTS[name].sample(SMALL, torch.arange(count) % 2, 16, generator=randomness(seed))

    assert torch.equal(sample(4, 0), sample(4, 0))
    assert torch.equal(sample(4, 0)[:2], sample(2, 0))
    assert torch.equal(sample(4, 0), sample(4, 1)) != STARTS[name].random
    assert sample(4, 0).unique(dim=0).shape[0] == (4 if STARTS[name].random else 2)


def test_samples_are_enlarged_and_in_range():
    pictures = STARTS["gaussian"].sample(make_start(spread=30), torch.tensor([0, 1]), 64, generator=seeded())
    assert pictures.shape == (2, 3, 64, 64)
    assert pictures.min() == 0 and pictures.max() == 1
    mean = F.interpolate(SMALL["mean"][:1].view(1, 3, 4, 4), (8, 8), mode="bilinear", antialias=True)
    torch.testing.assert_close(STARTS["mean"].sample(SMALL, torch.tensor([0]), 8), mean)


def test_noise_is_grey_with_a_quarter_deviation_and_needs_no_statistics():
    pictures = STARTS["noise"].sample({}, torch.zeros(8).long(), 32, scale=0.5, generator=seeded())
    assert pictures.shape == (8, 3, 32, 32)
    assert pictures.mean().item() == pytest.approx(0.5, abs=0.005)
    assert pictures.std().item() == pytest.approx(0.125, rel=0.02)
    assert (STARTS["noise"].sample({}, torch.zeros(2).long(), 8, scale=0) == 0.5).all()


def test_a_model_samples_at_its_own_size(model):
    labels = torch.tensor([3, 1])
    expected = STARTS["mixture"].sample(model.start_tensors, labels, 32, scale=0.5, generator=seeded())
    assert torch.equal(model.sample_start("mixture", labels, scale=0.5, generator=seeded()), expected)


def test_global_random_state_is_left_alone():
    state = torch.get_rng_state()
    for start in STARTS.values():
        start.sample(SMALL, torch.tensor([0, 1]), 4, generator=Generators(0))
    assert torch.equal(torch.get_rng_state(), state)


def test_saved_statistics_come_back_nearly_and_give_the_same_file_again(tmp_path):
    path, again = tmp_path / "start.safetensors", tmp_path / "again.safetensors"
    starts.save(SMALL, path)
    loaded = starts.load(path)
    assert loaded.keys() == SMALL.keys() and {tensor.dtype for tensor in loaded.values()} == {torch.float16}
    for name, tensor in SMALL.items():
        if tensor.ndim < 3:
            torch.testing.assert_close(loaded[name], tensor.half())
        else:
            assert ((loaded[name] - tensor).abs() <= tensor.abs().amax(-1, keepdim=True) / 126).all()
    for name in FITTED:
        one, other = (STARTS[name].sample(t, torch.tensor([0, 1]), 4, generator=seeded()) for t in (SMALL, loaded))
        torch.testing.assert_close(one, other, atol=0.02, rtol=0)
    starts.save(loaded, again)
    assert path.read_bytes() == again.read_bytes()


def test_statistics_in_half_precision_are_read_too(tmp_path):
    save_file({name: tensor.half() for name, tensor in SMALL.items()}, tmp_path / "start.safetensors")
    loaded = starts.load(tmp_path / "start.safetensors")
    assert all(torch.equal(loaded[name], tensor.half()) for name, tensor in SMALL.items())


@pytest.mark.parametrize("steps", [{"basis.step": torch.ones(2, 1)}, {"other.step": torch.ones(1)}])
def test_steps_must_fit_what_they_multiply(tmp_path, steps):
    path = tmp_path / "start.safetensors"
    save_file({name: tensor.half() for name, tensor in SMALL.items()} | steps, path)
    with pytest.raises(ValueError, match=r"^start: expected .* of shape"):
        starts.load(path)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "other names", "missing"])
def test_a_damaged_file_is_one_sentence(tmp_path, damage):
    path = tmp_path / "start.safetensors"
    starts.save(SMALL, path)
    if damage == "other names":
        save_file({"median": torch.zeros(2, 48)}, path)
    elif damage == "missing":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "truncated": path.read_bytes()[:-10], "text": b"not a tensor"}[damage])
    with pytest.raises(ValueError, match=r"^start: expected a whole start.safetensors, got [^\n]+$"):
        starts.load(path)


@pytest.mark.parametrize("name", SMALL)
def test_statistics_of_wrong_shapes_are_refused(tmp_path, name):
    starts.save(SMALL | {name: SMALL[name][..., :1, None]}, tmp_path / "start.safetensors")
    with pytest.raises(ValueError, match=r"^start: expected .* of shape"):
        starts.load(tmp_path / "start.safetensors")


def test_a_checkpoint_offers_the_starts_whose_statistics_it_has(tmp_path):
    model, whole = make_model(info={"name": "partial"}), make_start(side=4)
    model.start_tensors = {name: whole[name] for name in ("mean", "basis", "deviation")}
    checkpoint.save(tmp_path, model)
    model = synth.load(tmp_path)
    assert model.starts == ["gaussian", "mean", "noise"]
    for name in model.starts:
        assert synth.generation(model, start=name, count=1, steps=1).pictures.shape == (1, 3, 32, 32)
    for name in ("pca", "mixture"):
        with pytest.raises(ValueError, match=rf"^start: expected gaussian or mean or noise, .*got '{name}'$"):
            synth.generation(model, start=name, count=1, steps=1)


class Blocks:
    """Two classes of pictures that vary along two directions."""

    classes, labels = ["dark", "light"], torch.arange(60) % 2

    def __getitem__(self, rows):
        weights = torch.randn(60, 2, generator=seeded()) * torch.tensor([0.1, 0.02])
        patterns = torch.linalg.qr(torch.randn(48, 2, generator=seeded(1))).Q.T
        pictures = (0.3 + 0.4 * self.labels[:, None] + weights @ patterns).view(60, 3, 4, 4)
        return pictures[rows], self.labels[rows]


def test_every_start_is_fitted_and_shared_tensors_are_the_same():
    tensors = fit(Blocks(), components=2, mixture=3)
    assert tensors.keys() == SMALL.keys() and tensors["weights"].shape == (2, 3)
    assert starts.available(tensors) == list(STARTS)
    mean = torch.stack([Blocks()[Blocks.labels == label][0].mean(0).flatten() for label in (0, 1)])
    torch.testing.assert_close(tensors["mean"], mean)
    truth = Blocks()[Blocks.labels == 1][0].flatten(1).std(0).square().sum()
    for name in ("gaussian", "mixture"):
        samples = STARTS[name].sample(tensors, torch.ones(COUNT).long(), 4, generator=seeded())
        torch.testing.assert_close(samples.mean(0).flatten(), mean[1], atol=0.01, rtol=0)
        torch.testing.assert_close(samples.flatten(1).std(0).square().sum(), truth, rtol=0.1, atol=0)


def test_another_start_is_one_more_class(monkeypatch, tmp_path):
    class Bright(starts.Start):
        """White, less a class's fitted darkness."""

        name, order, tensors = "bright", 6, {"darkness": "C"}

        def fit(self, components, generator, options):
            return {"darkness": 1 - components.mean.mean()}

        def draw(self, tensors, size, generator):
            return 1.0, -tensors["darkness"] * torch.rand(3 * size * size, generator=generator)

    monkeypatch.setitem(STARTS, "bright", Bright())
    starts.save(fit(Blocks(), components=2), tmp_path / "start.safetensors")
    tensors = starts.load(tmp_path / "start.safetensors")
    assert starts.available(tensors)[-1] == "bright"
    pictures = STARTS["bright"].sample(tensors, torch.tensor([0, 1] * 50), 8, generator=seeded())
    assert pictures[::2].min().item() == pytest.approx(0.3, abs=0.01)
    assert pictures[1::2].min().item() == pytest.approx(0.7, abs=0.01)
