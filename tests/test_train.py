"""The trainer: learns, attacks, resumes to the same weights, survives damaged saves, runs on two processes."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import synth
from synth.classifier import Classifier
from training import train_state
from training.recipes import RECIPES, TrainConfig, recipe
from training.train import attack, learning_rate, main, train

PLAN = TrainConfig(
    "toy", width=0.125, epochs=2, batch_size=16, attack_steps=1, attack_step_size=0.5, attack_start=0.5, ema=0.9
)
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """Sixty-four pictures of two classes, dark and light."""
    root, random = tmp_path_factory.mktemp("toy"), np.random.default_rng(0)
    for label, name in enumerate(("dark", "light")):
        (root / "train" / name).mkdir(parents=True)
        for index in range(36):
            levels = random.normal(70 + 110 * label, 25, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(levels).save(root / "train" / name / f"{index}.png")
    return root


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """A run that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole")
    return output, train(PLAN, toy, output, quiet=True)


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_a_run_learns_and_reports(whole):
    output, _ = whole
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["loss"] < lines[0]["loss"]
    assert {"train_accuracy", "held_out_clean", "held_out_pgd10_0.5", "minutes"} <= set(lines[1])
    model = synth.load(output / "checkpoint")
    assert model.classes == ["dark", "light"] and model.info["recipe"]["name"] == "toy"


def test_an_ended_budget_leaves_a_usable_checkpoint_and_resumes_to_the_same_weights(toy, whole, tmp_path):
    train(PLAN, toy, tmp_path, max_minutes=0, quiet=True)
    assert synth.load(tmp_path / "checkpoint").info["epochs"] < 1
    assert same(train(PLAN, toy, tmp_path, quiet=True), whole[1])


def test_a_damaged_save_is_passed_over(toy, whole, tmp_path, capsys):
    for _ in range(2):
        train(PLAN, toy, tmp_path, max_minutes=0, quiet=True)
    newest = sorted(tmp_path.glob("state-*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:-7])
    assert train_state.latest(tmp_path)[1]["step"] == 1
    assert newest.name in capsys.readouterr().err
    assert same(train(PLAN, toy, tmp_path, quiet=True), whole[1])


def test_a_save_without_its_facts_is_passed_over(tmp_path):
    for step in (1, 2):
        train_state.save(tmp_path, step, {"x": torch.ones(2) * step}, {"step": step})
    (tmp_path / "state-00000002.json").unlink()
    tensors, facts = train_state.latest(tmp_path)
    assert facts["step"] == 1 and tensors["x"].tolist() == [1, 1]


def test_only_the_last_two_saves_are_kept(tmp_path):
    for step in range(5):
        train_state.save(tmp_path, step, {"x": torch.ones(1)}, {})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"state-{step:08d}.{kind}" for step in (3, 4) for kind in ("json", "safetensors")
    ]


def command(toy, output, *more):
    """A process that trains the toy plan, registered as a recipe."""
    code = (
        "from training import recipes, train; from tests.test_train import PLAN; import dataclasses;"
        "recipes.RECIPES['toy'] = dataclasses.replace(PLAN, epochs=int(__import__('os').environ.get('EPOCHS', 2)));"
        "train.main()"
    )
    return ["-c", code, "toy", "--data", str(toy), "--output", str(output), "--quiet", *more]


def test_a_killed_run_continues(toy, tmp_path):
    environment = os.environ | {"EPOCHS": "400", "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *command(toy, tmp_path)], cwd=ROOT, env=environment, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 90
    while not list(tmp_path.glob("state-*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, facts = train_state.latest(tmp_path)
    plan = dataclasses.replace(PLAN, epochs=400)
    train(plan, toy, tmp_path, max_minutes=0, quiet=True)
    assert train_state.latest(tmp_path)[1]["step"] == facts["step"] + 1


def test_two_processes_train_one_model(toy, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(command(toy, tmp_path / "out")[1])
    options = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    launch = [sys.executable, "-m", "accelerate.commands.launch", *options.split(), "--main_process_port", "0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launch, str(script), *command(toy, tmp_path / "out")[2:]],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2] and lines[0]["processes"] == 2
    assert synth.load(tmp_path / "out" / "checkpoint").classes == ["dark", "light"]


def test_the_attack_stays_in_its_ball_and_raises_the_loss(toy):
    from accelerate import Accelerator

    torch.manual_seed(0)
    model = Classifier(width=0.125).train()
    x, y = torch.rand(4, 3, 32, 32), torch.arange(4)
    plan = dataclasses.replace(PLAN, attack_steps=3, attack_step_size=0.2)
    moved = attack(model, x, y, 0.5, plan, torch.randn_like(x), Accelerator(cpu=True))
    assert model.training
    assert ((moved - x).flatten(1).norm(dim=1) <= 0.5 + 1e-5).all() and moved.min() >= 0 and moved.max() <= 1
    model.eval()
    entropy = torch.nn.functional.cross_entropy
    assert entropy(model(moved), y) > entropy(model(x), y)
    assert attack(model, x, y, 0, plan, None, Accelerator(cpu=True)) is x


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_network(name):
    plan = recipe(name)
    with torch.device("meta"):
        model = Classifier(plan.architecture, image_size=plan.image_size, width=plan.width)
    assert model.head.out_features == 10
    falls = learning_rate(plan, 0.5) > learning_rate(plan, 0.999) > 0
    assert learning_rate(plan, 0) >= 0 and falls == (plan.schedule != "constant")
    assert ("-l2" in name) == (plan.epsilon > 0) and plan.initial in ("", *RECIPES)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nothing"], "recipe: expected one of"),
        (["cifar10-resnet18-l2", "--epochs", "0"], "epochs: expected at least 1"),
        (["cifar10-resnet18-l2", "--epsilon", "-1"], "epsilon: expected at least 0"),
        (["cifar10-resnet18-slim-standard", "--epsilon", "1"], "epsilon: expected at least 0, of a recipe with an"),
    ],
)
def test_bad_commands_exit_with_one_sentence(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2 and capsys.readouterr().err.startswith(words)


def test_two_domains_take_names_and_become_each_other(tmp_path):
    for name, level in (("trainA", 60), ("trainB", 190)):
        (tmp_path / name).mkdir()
        for index in range(16):
            Image.new("RGB", (32, 32), (level + index, level, level)).save(tmp_path / name / f"{index}.png")
    plan = dataclasses.replace(PLAN, epochs=1)
    model = train(plan, tmp_path, tmp_path / "run", names=["night", "day"], quiet=True)
    assert model.classes == ["night", "day"] and model.pairs == {"night": "day", "day": "night"}
    again = synth.load(tmp_path / "run" / "checkpoint")
    assert again.pairs == model.pairs and again.groups == {}


@pytest.mark.parametrize(
    "left, names, words",
    [
        (1, None, "expected at least 4 pictures of every class, found 1 of B"),
        (9, ["day"], "classes: expected 2 different names, got day"),
        (9, ["day", "day"], "classes: expected 2 different names, got day, day"),
    ],
)
def test_domains_that_cannot_be_trained_on_are_refused(tmp_path, left, names, words):
    for name, count in (("trainA", 9), ("trainB", left)):
        (tmp_path / name).mkdir()
        for index in range(count):
            Image.new("RGB", (32, 32)).save(tmp_path / name / f"{index}.png")
    with pytest.raises(ValueError, match=words):
        train(PLAN, tmp_path, tmp_path / "run", names=names, quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_run_borrows_the_tensors_that_fit(tmp_path, toy):
    lender = Classifier(width=0.125, classes=["a", "b", "c"], info={"name": "lender"})
    lender.save_pretrained(tmp_path / "lender")
    plan = dataclasses.replace(PLAN, initial=str(tmp_path / "lender"), learning_rate=1e-9, ema=0, epochs=1)
    model = train(plan, toy, tmp_path / "run", quiet=True)
    given = dict(lender.backbone.named_parameters())
    kept = [one.half().equal(given[n].half()) for n, one in model.backbone.named_parameters() if "fc" not in n]
    assert all(kept) and model.mean.flatten().tolist() == pytest.approx(list(plan.mean))
    with pytest.raises(ValueError, match="initial: expected a network like that of toy"):
        train(dataclasses.replace(plan, width=0.25), toy, tmp_path / "other", quiet=True)
