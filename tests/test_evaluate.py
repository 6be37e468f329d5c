"""Figures, start statistics, cards and sheets of a toy checkpoint, through the commands that make the real ones."""

import json
import sys

import pytest
import torch
from accelerate import Accelerator

import synth
from synth import hub, starts
from synth.checkpoint import save
from synth.classifier import Classifier
from synth.record import Record
from tests.toys import fork, noise, write_pictures
from training import evaluate, fit_start, sheets
from training.card import card, write_card
from training.data import Pictures
from training.evaluation import report
from training.evaluation.accuracy import Accuracy, survivors
from training.evaluation.autoattack import AutoAttack
from training.intervals import proportion


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder data set: dark and light pictures, train and test."""
    return write_pictures(tmp_path_factory.mktemp("data"), noise, train=30, test=10)


@pytest.fixture
def checkpoint(tmp_path):
    """An untrained two-class checkpoint in a folder."""
    torch.manual_seed(0)
    recipe = {"epsilon": 0.5, "attack_steps": 1, "attack_step_size": 0.5, "attack_start": 0, "batch_size": 16}
    recipe |= {"learning_rate": 0.1, "schedule": "onecycle", "weight_decay": 0, "ema": 0, "padding": 2}
    info = {"name": "toy", "data": "toy", "recipe": recipe, "epochs": 1, "minutes": 0.1, "machine": "a test"}
    save(tmp_path / "toy", Classifier(width=0.125, classes=["dark", "light"], info=info))
    return tmp_path / "toy"


class Brightness(torch.nn.Module):
    """Reads a picture as light when its mean exceeds a half: its robust accuracy is known in closed form."""

    def forward(self, x):
        margin = 20 * (x.mean((1, 2, 3)) - 0.5)
        return torch.stack([-margin, margin], 1)


@pytest.mark.parametrize("epsilon, survives", [(0.5, True), (2.7, True), (2.8, False), (5.0, False)])
def test_the_attack_is_exact_on_a_linear_model(epsilon, survives):
    # The mean moves by epsilon / sqrt(D) at most: 0.05 away takes 0.05 * sqrt(3072) = 2.77.
    x, y = torch.full((3, 3, 32, 32), 0.55), torch.ones(3, dtype=torch.long)
    assert survivors(Brightness(), x, y, epsilon).tolist() == [survives] * 3


def test_accuracies_fall_with_epsilon_and_count_all_pictures():
    model = Classifier(width=0.125, classes=["a", "b"]).eval()
    pictures = torch.randint(0, 256, (30, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        labels = model(pictures / 255).argmax(1)
    labels[:6] = 1 - labels[:6]
    data, accelerator = Pictures(pictures, labels, ["a", "b"], []), Accelerator(cpu=True)
    figures = Accuracy().measure(model, data, epsilon=[4.0, 0.01], accelerator=accelerator, batch=7)
    assert figures["clean"]["value"] == 0.8 and figures["clean"]["count"] == 30
    assert figures["clean"]["value"] >= figures["pgd20_l2_0.01"]["value"] >= figures["pgd20_l2_4"]["value"]


def test_the_interval_is_wilsons():
    assert proportion(8, 10) == {"value": 0.8, "count": 10, "interval": [0.4902, 0.9433]}


def test_autoattack_without_its_package_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyautoattack", None)
    with pytest.raises(ValueError, match="^measure: expected pyautoattack"):
        AutoAttack().measure(None, None, epsilon=[0.5], accelerator=None)


def test_autoattack_is_no_weaker_than_pgd():
    pytest.importorskip("pyautoattack")
    torch.manual_seed(0)
    model = Classifier(width=0.125, classes=["a", "b", "c", "d", "e"]).eval()
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        labels = model(pictures / 255).argmax(1)
    data = Pictures(pictures, labels, model.classes, [])
    settings = dict(accelerator=Accelerator(cpu=True))
    autoattack = AutoAttack().measure(model, data, epsilon=[0.3], attacks=("apgd-ce",), **settings)
    under_pgd = Accuracy().measure(model, data, epsilon=[0.3], **settings)
    assert autoattack["apgd-ce_l2_0.3"]["value"] <= under_pgd["pgd20_l2_0.3"]["value"]


def test_autoattack_goes_on_where_it_ended(tmp_path, monkeypatch):
    pytest.importorskip("pyautoattack")
    torch.manual_seed(0)
    model = Classifier(width=0.125, classes=["a", "b"]).eval()
    pictures = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    data = Pictures(pictures, torch.arange(6) % 2, model.classes, [])
    settings = {"epsilon": [0.2], "accelerator": Accelerator(cpu=True), "batch": 2, "attacks": ["apgd-ce"]}
    measure = AutoAttack()
    whole = measure.measure(model, data, **settings)
    model.folder = tmp_path
    save(tmp_path, model)
    first = measure.measure(model, data.subset(torch.arange(4)), **settings)
    report.store(tmp_path, measure, first, "first", {"minutes": 3})
    assert measure.measure(model, data, skip=4, **settings) == whole
    assert report.minutes(tmp_path, measure, whole) == 3
    for skip in (2, 3):
        with pytest.raises(ValueError, match="skip: expected 4, of so many pictures apgd-ce_l2_0.2 is known, got"):
            measure.measure(model, data, skip=skip, **settings)


def test_commands_make_a_complete_checkpoint(checkpoint, data):
    fit_start.main([str(checkpoint), "--data", str(data), "--components", "8"])
    tensors = starts.load(checkpoint / "start.safetensors")
    assert tensors["basis"].shape == (2, 8, 3072)
    basis = tensors["basis"][0].float()
    assert torch.allclose(basis @ basis.T, torch.eye(8), atol=5e-3)
    assert tensors["mean"][0].float().mean() < 0.35 < 0.6 < tensors["mean"][1].float().mean()
    assert tensors["weights"].sum(1).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert "start.safetensors" in json.loads((checkpoint / "seal.json").read_text())["sha256"]
    fit_start.main([str(checkpoint), "--data", str(data), "--components", "6"])
    assert synth.load(checkpoint).start_tensors["basis"].shape == (2, 6, 3072)  # new starts, and a seal that says so

    twin, model = checkpoint.parent / "twin", synth.load(checkpoint)
    model.start_tensors = {}
    save(twin, model)
    fit_start.main([str(twin), "--like", str(checkpoint)])
    assert (twin / "start.safetensors").read_bytes() == (checkpoint / "start.safetensors").read_bytes()
    with pytest.raises(SystemExit):
        fit_start.main([str(twin), "--like", "cifar10-judge"])

    evaluate.main([str(checkpoint), "--data", str(data), "--epsilon", "0.5", "--device", "cpu"])
    report = json.loads((checkpoint / "evaluation.json").read_text())
    assert report["accuracy"]["clean"]["count"] == 20
    assert list(report["runs"]) == [report["accuracy"]["clean"]["command"]]
    card = (checkpoint / "README.md").read_text()
    assert f"{report['accuracy']['clean']['value']:.2%}" in card and "model-index" in card

    sheets.main([str(checkpoint)])
    assert {path.name for path in (checkpoint / "examples").iterdir()} == {"dark.png", "light.png"}
    sheets.main([str(checkpoint), "--pick", "light=3"])
    seeds = {name: Record.read(checkpoint / "examples" / f"{name}.png").settings["seed"] for name in ("dark", "light")}
    assert seeds == {"dark": 0, "light": 3}
    for wrong in ("light", "grey=1"):
        with pytest.raises(SystemExit):
            sheets.main([str(checkpoint), "--pick", wrong])
    assert "mixture" in synth.load(checkpoint).starts


def test_figures_of_several_runs_stand_together(checkpoint, data):
    common = [str(checkpoint), "--data", str(data), "--device", "cpu"]
    evaluate.main([*common, "--epsilon", "0.5"])
    evaluate.main([*common, "--epsilon", "1", "--count", "6"])
    report = json.loads((checkpoint / "evaluation.json").read_text())
    counts = {name: value["count"] for name, value in report["accuracy"].items()}
    assert counts == {"clean": 6, "pgd20_l2_0.5": 20, "pgd20_l2_1": 6} and len(report["runs"]) == 2
    evaluate.main([*common, "--epsilon", "0.5", "1"])
    assert len(json.loads((checkpoint / "evaluation.json").read_text())["runs"]) == 1


def test_two_processes_find_what_one_finds(checkpoint, data):
    command = [str(checkpoint), "--data", str(data), "--device", "cpu", "--epsilon", "0.3", "2"]
    figures = []
    for start in (evaluate.main, lambda arguments: fork("training.evaluate:main", *arguments)):
        start(command)
        report = json.loads((checkpoint / "evaluation.json").read_text())
        figures.append({name: value["value"] for name, value in report["accuracy"].items()})
    assert "2 process(es)" in next(iter(report["runs"].values()))["machine"]
    assert figures[0] == figures[1]


def test_reports_of_older_versions_are_read(tmp_path):
    table = {"rows": [{"agreement": 1}], "command": "bench", "minutes": 2, "machine": "a test"}
    old = {"samples": {"agreement": 0.5, "command": "evaluate"}, "autoencoder": {"style": table}}
    (tmp_path / "evaluation.json").write_text(json.dumps(old | {"runs": {"evaluate": {"minutes": 1}}}))
    figures = report.read(tmp_path)
    assert figures["samples"]["judge_accuracy"] == 0.5
    assert figures["autoencoder"]["style"] == {"rows": [{"judge_accuracy": 1}], "command": "bench"}
    assert figures["runs"] == {"evaluate": {"minutes": 1}, "bench": {"minutes": 2, "machine": "a test"}}


@pytest.mark.parametrize("name", hub.bundled())
def test_the_bundled_cards_are_those_of_the_figures(name):
    assert (hub.folder(name) / "README.md").read_text() == card(hub.folder(name))


def test_a_card_needs_an_evaluation(checkpoint):
    with pytest.raises(ValueError, match="^checkpoint: expected an evaluation.json"):
        write_card(checkpoint)


@pytest.mark.parametrize(
    "arguments, words", [(["--epsilon", "-1"], "epsilon: expected"), (["--count", "0"], "count: expected")]
)
def test_bad_arguments_exit_with_one_sentence(checkpoint, data, arguments, words, capsys):
    with pytest.raises(SystemExit) as exit:
        evaluate.main([str(checkpoint), "--data", str(data), *arguments])
    assert exit.value.code == 2 and capsys.readouterr().err.startswith(words)
