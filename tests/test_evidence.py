"""Tricks, judging and runs of bench.evidence: closed forms, other implementations, and laws."""

import json

import pytest
import torch

import synth
from bench import evidence, evidence_plots, experiments, inverse, tricks
from bench.judging import judge_pictures
from bench.runs import Family, descend, make
from synth.constraints import L2, Inside
from synth.objectives import Objective
from synth.randomness import Generators
from tests.test_samples import make_judge, make_pictures
from training.judge import Reference, judge_samples

SHORT = {"steps": 3, "epsilon": 2, "step_size": 0.5}
WEIGHTS = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
PICTURES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def weighted(x: torch.Tensor) -> torch.Tensor:
    return (x * WEIGHTS).flatten(1).sum(1)


@pytest.fixture(scope="module")
def family() -> Family:
    """The bundled checkpoints with noise for data."""
    family = Family("cifar10")
    for split, seed in (("train", 0), ("test", 1)):
        family.__dict__[split] = make_pictures(60, seed, family.robust.classes)
    return family


def test_a_decorrelated_step_descends_the_fourier_coefficients():
    frequency = torch.hypot(torch.fft.fftfreq(8)[:, None], torch.fft.rfftfreq(8)).clamp_min(1 / 8)

    def picture(z):
        mixed = torch.einsum("ij,njhw->nihw", torch.tensor(tricks.COLOURS), z)
        return torch.fft.irfft2(torch.fft.rfft2(mixed) / frequency, s=(8, 8))

    z = torch.zeros(3, 3, 8, 8, requires_grad=True)
    gradients = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((picture(z) * gradients).sum(), z)
    assert torch.allclose(tricks.decorrelated(gradients), picture(gradient), atol=1e-4)
    after = tricks.Decorrelated(L2(1)).step(PICTURES, gradients, 0.5)
    assert torch.allclose((after - PICTURES).flatten(1).norm(dim=1), torch.tensor(0.5))


def test_the_ball_inside_a_mask_is_what_changes():
    changed = tricks.innermost(Inside(L2(1), torch.ones(1, 1, 8, 8)), tricks.Decorrelated)
    assert isinstance(changed, Inside) and changed.inner == tricks.Decorrelated(L2(1))


def test_transformations_are_each_pictures_own_and_none_is_the_identity(monkeypatch):
    seen = tricks.transformed(Objective(weighted), Generators(0))(PICTURES)
    alone = tricks.transformed(Objective(weighted), Generators(1))(PICTURES[1:2])
    assert torch.allclose(seen[1:2], alone) and not torch.allclose(seen, weighted(PICTURES))
    for name in ("DEGREES", "SCALE", "SHIFT"):
        monkeypatch.setattr(tricks, name, 0)
    still = tricks.transformed(Objective(weighted), Generators(0))(PICTURES)
    assert torch.allclose(still, weighted(PICTURES), atol=1e-4)


def test_total_variation_is_that_of_the_formula():
    x = PICTURES[0].tolist()
    down = sum(abs(c[i + 1][j] - c[i][j]) for c in x for i in range(7) for j in range(8))
    across = sum(abs(c[i][j + 1] - c[i][j]) for c in x for i in range(8) for j in range(7))
    assert tricks.total_variation()(PICTURES)[0].item() == pytest.approx(down + across, rel=1e-5)


def test_the_judges_figures_are_those_of_the_samples_with_an_interval():
    reference, pictures = Reference(make_judge(), make_pictures(80).pictures), make_pictures(40, seed=1)
    figures = judge_pictures(*pictures[:], reference)
    expected = judge_samples(pictures.pictures, pictures.labels, reference)
    assert figures["fid"]["value"] == pytest.approx(expected["fid"], abs=1e-3)
    low, high = figures["fid"]["interval"]
    assert figures["seen"] == expected["judge_accuracy"] and low < figures["fid"]["value"] < high


def test_without_tricks_a_run_is_the_tasks_own(model):
    pictures = torch.rand(2, 3, 32, 32).mul(255).round() / 255
    settings = {"class_name": 1, "jitter": 0, **SHORT}
    *_, (evaluations, after) = descend(model.inference_copy(), "translation", settings | {"picture": pictures})
    alone = synth.translation(model, picture=pictures[0], **settings)
    assert evaluations == 3 and torch.allclose(after[:1], alone.pictures, atol=1e-4)


@pytest.mark.parametrize("names", [(name,) for name in tricks.TRICKS] + [tuple(tricks.TRICKS)])
def test_tricks_keep_the_ball_and_the_masks_outside(model, names):
    settings = {"picture": torch.rand(2, 3, 32, 32), "class_name": 1, **SHORT}
    (_, start), *_, (_, after) = descend(model.inference_copy(), "inpainting", settings, tricks=names)
    changed = (after != start).any(1).float().mean((1, 2))
    assert (changed > 0).all() and (changed <= 144 / 1024).all()  # the hole is twelve pixels wide
    assert (after - start).flatten(1).norm(dim=1).max() <= 2 + 1e-4 and after.min() >= 0 and after.max() <= 1


def test_coarse_steps_cost_a_quarter_and_stay_in_the_ball(model):
    run = list(descend(model.inference_copy(), "generation", {"count": 2, **SHORT}, coarse=2))
    assert [evaluations for evaluations, _ in run] == [0, 0.25, 0.5, 1.5, 2.5, 3.5]
    assert all((x - run[0][1]).flatten(1).norm(dim=1).max() <= 2 + 1e-4 for _, x in run)


def test_inputs_are_balanced_and_choices_use_others(family):
    inputs = family.seeds(130)
    assert inputs.labels.bincount().tolist() == [13] * 10
    few, real = family.real("super_resolution", 20), family.real("super_resolution", 30, 20)
    first, second = few.truth[::10].flatten(1), real.truth[::10].flatten(1)  # the first class's, which differ
    assert not (first[:, None] == second).all(2).any()
    classes = [family.robust.classes[label] for label in family.real("translation", 20).labels[:10].tolist()]
    assert classes == list(family.robust.pairs.values())
    images = make(family.networks["robust"], "generation", inputs, {"steps": 1}, (0, 1))
    labels = {x.numpy().tobytes(): int(y) for x, y in zip(*family.test[:], strict=True)}
    strangers = [labels[x.numpy().tobytes()] for x in family.other_classes(inputs.labels)]
    assert len(images[1]) == 130 and all(a != b for a, b in zip(strangers, inputs.labels.tolist(), strict=True))


def test_each_experiment_writes_its_figures_and_plots_them(family, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(evidence, "DOCS", tmp_path)
    monkeypatch.setattr(evidence, "Family", lambda *_: family)
    monkeypatch.setattr(experiments, "GRID", {"epsilon": (1, 2), "step_size": (0.5,), "steps": (1, 2)})
    for name, value in {"BUDGET": 2, "ALONG": (1, 60), "TOTALS": (2,)}.items():
        monkeypatch.setattr(experiments, name, value)
    monkeypatch.setattr(experiments, "VARIANTS", {"plain": ((), {}), "Fourier": (("Fourier",), {})})
    for name in ("grid", "robust"):
        evidence.main(
            [name, "--count", "10", "--choose", "10", *(["--task", "inpainting"] if name == "robust" else [])]
        )
    reports = {name: json.loads((tmp_path / f"{name}.json").read_text()) for name in ("grid", "robust")}
    assert len(reports["grid"]["cifar10"]["rows"]) == 4 and "| 2 | 0.5 | 1 |" in capsys.readouterr().out
    rows = reports["robust"]["cifar10 inpainting"]["rows"]
    assert [row["network"] for row in rows] == ["start alone", *["robust"] * 2, *["standard"] * 2, "real pictures"]
    assert all(row["psnr"]["count"] == 10 for row in rows[:-1])
    pytest.importorskip("matplotlib")
    evidence_plots.plots(tmp_path)
    assert all((tmp_path / f"{name}.png").exists() for name in ("grid", "robust-figures"))


def test_restoration_is_plotted_beside_its_baseline():
    pytest.importorskip("matplotlib")

    def figures(psnr: float, apart: float) -> dict:
        return {"psnr": {"value": psnr}, "psnr_hole": {"value": psnr}, "apart": {"value": apart}}

    curve = [{"detail": 0, **figures(21, 0.4)}, {"detail": 1, **figures(19, 0.1)}]
    rows = {"curve": curve, "ours": figures(20, 0.2), "bicubic": figures(20, 0.4), "smooth fill": figures(20, 0.4)}
    report = {"count": 8, "super_resolution": {"2": rows}, "inpainting": rows}
    (axis,) = evidence_plots._restoration({"tiny": report}).axes
    labels = ["super-resolution 2x", "hole", "bicubic, or the smooth fill"]
    assert [text.get_text() for text in axis.get_legend().get_texts()] == labels
    line, default = (axis.lines[index].get_xydata().tolist() for index in (0, 1))
    assert line == [[1, 1], [-1, 0.25]] and default == [[0, 0.5]]


@pytest.mark.parametrize("task", ["super_resolution", "inpainting", "deblurring"])
def test_inverse_problems_have_adjoint_operators_of_norm_one_and_measure_the_truth(family, task):
    pytest.importorskip("deepinv")
    inputs = family.real("super_resolution" if task == "deblurring" else task, 20)
    measured = inverse.Measurements.of(inputs, task)
    physics, x = measured.physics, torch.rand_like(inputs.truth)
    y = torch.rand_like(measured.y)
    assert torch.allclose((physics.A(x) * y).sum(), (x * physics.A_adjoint(y)).sum(), rtol=1e-4)
    if task == "deblurring":
        assert torch.allclose(physics.A(torch.ones_like(x)), torch.ones_like(x), atol=1e-5)  # weights above 0, sum 1
    else:
        there = physics.A_adjoint(physics.A(x))
        assert torch.allclose(physics.A_adjoint(physics.A(there)), there, atol=1e-5)  # a projection, so of norm 1
    assert torch.allclose(physics.A(inputs.truth), measured.y, atol=4 * 0.5 / 255 + 1e-6)  # but for rounding
    assert torch.equal(torch.cat([part.fill for part in measured.split(7)]), measured.fill)


@pytest.mark.parametrize("task", ["inpainting", "deblurring"])
def test_every_method_for_inverse_problems_is_compared(task, family, monkeypatch, tmp_path, capsys):
    pytest.importorskip("deepinv")
    train_denoiser = inverse.train_denoiser
    monkeypatch.setattr(inverse, "train_denoiser", lambda data: train_denoiser(data, steps=2, batch=4))
    monkeypatch.setattr(inverse, "FITTED", (1,))
    monkeypatch.setattr(inverse, "ITERATIONS", 2)
    monkeypatch.setattr(evidence, "DOCS", tmp_path)
    monkeypatch.setattr(evidence, "Family", lambda *_: family)
    evidence.main(["inverse", "--task", task, "--count", "10", "--choose", "10"])
    (report,) = json.loads((tmp_path / "inverse.json").read_text()).values()
    named = [row["method"] for row in report["rows"]]
    assert (
        named[0] == "fill" and named[-1] == "truth" and "| Deep Image Prior | iterations 1 |" in capsys.readouterr().out
    )
    assert all(row["psnr"]["count"] == 10 for row in report["rows"]) and report["rows"][-1]["psnr"]["value"] == 100
