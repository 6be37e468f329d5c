"""The trainer: learns, attacks, resumes to the same weights, survives damaged saves, runs on two processes."""

import dataclasses
import gc
import json
import subprocess
import sys
import weakref

import pytest
import torch
from accelerate import Accelerator
from PIL import Image

import synth
from synth import checkpoint
from synth.classifier import Classifier
from tests.conftest import make_model
from tests.toys import ENVIRONMENT, ROOT, launch, noise, same_weights, wait_for, write_pictures
from tests.train_toy import TOY
from training import distillation, loop, machine, train_state
from training.config import parse
from training.data import load
from training.initial import build
from training.recipes import RECIPES, recipe
from training.train import attack, main, train


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("toy"), noise, train=36)


@pytest.fixture(scope="module")
def whole(toy, tmp_path_factory):
    """A run that nothing interrupted."""
    output = tmp_path_factory.mktemp("whole")
    return output, train(TOY, toy, output, quiet=True)


def test_a_run_learns_and_reports(whole):
    output, _ = whole
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert lines[1]["loss"] < lines[0]["loss"]
    assert {"train_accuracy", "held_out_clean", "held_out_pgd10_0.5", "minutes"} <= set(lines[1])
    model = synth.load(output / "checkpoint")
    assert model.classes == ["dark", "light"] and model.info["recipe"]["name"] == "toy"
    best = max(lines, key=lambda line: (line["held_out_pgd10_0.5"], -line["epoch"]))
    assert best["held_out_pgd10_0.5"] > 0 and synth.load(output / "best").info["epochs"] == best["epoch"]


def test_an_ended_budget_leaves_a_usable_checkpoint_and_resumes_to_the_same_weights(toy, whole, tmp_path):
    train(TOY, toy, tmp_path, max_minutes=0, quiet=True)
    assert synth.load(tmp_path / "checkpoint").info["epochs"] < 1
    assert same_weights(train(TOY, toy, tmp_path, quiet=True), whole[1])


def test_a_damaged_save_is_passed_over(toy, whole, tmp_path, capsys):
    for _ in range(2):
        train(TOY, toy, tmp_path, max_minutes=0, quiet=True)
    newest = sorted(tmp_path.glob("state-*.safetensors"))[-1]
    newest.write_bytes(newest.read_bytes()[:-7])
    assert train_state.latest(tmp_path)[1]["step"] == 1
    assert newest.name in capsys.readouterr().err
    assert same_weights(train(TOY, toy, tmp_path, quiet=True), whole[1])


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


def test_a_killed_run_continues(toy, tmp_path):
    command = ["-m", "tests.train_toy", "--data", toy, "--output", tmp_path, "--epochs", "400", "--quiet"]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, env=ENVIRONMENT, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(lambda: list(tmp_path.glob("state-*.json")))
        finally:
            process.kill()
    _, facts = train_state.latest(tmp_path)
    train(dataclasses.replace(TOY, epochs=400), toy, tmp_path, max_minutes=0, quiet=True)
    assert train_state.latest(tmp_path)[1]["step"] == facts["step"] + 1


def test_two_processes_train_one_model(toy, tmp_path):
    launch("tests.train_toy", "--data", str(toy), "--output", str(tmp_path), "--quiet")
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2] and lines[0]["processes"] == 2
    assert synth.load(tmp_path / "checkpoint").classes == ["dark", "light"]


def test_the_attack_stays_in_its_ball_and_raises_the_loss(toy):
    torch.manual_seed(0)
    model = Classifier(width=0.125).train()
    x, y = torch.rand(4, 3, 32, 32), torch.arange(4)
    config = dataclasses.replace(TOY, attack_steps=3, attack_step_size=0.2)
    moved = attack(model, x, y, 0.5, config, torch.randn_like(x), Accelerator(cpu=True))
    assert model.training
    assert ((moved - x).flatten(1).norm(dim=1) <= 0.5 + 1e-5).all() and moved.min() >= 0 and moved.max() <= 1
    model.eval()
    entropy = torch.nn.functional.cross_entropy
    assert entropy(model(moved), y) > entropy(model(x), y)
    assert attack(model, x, y, 0, config, None, Accelerator(cpu=True)) is x


def test_nothing_holds_the_copy_that_an_attack_used():
    model = Classifier(width=0.125)
    prepared = Accelerator(cpu=True, mixed_precision="bf16").prepare(model)
    prepared.train()
    gc.disable()
    try:
        twin = model.folded_copy()
        assert twin(torch.rand(1, 3, 32, 32)).shape == (1, 10)
        alive = weakref.ref(twin)
        del twin
        assert alive() is None, "until a garbage collection, each step would keep a network"
    finally:
        gc.enable()


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_builds_its_network(name):
    config = recipe(name)
    with torch.device("meta"):
        model = Classifier(config.architecture, image_size=config.image_size, width=config.width)
    assert model.head.out_features == 10
    falls = loop.learning_rate(config, 0.5) > loop.learning_rate(config, 0.999) > 0
    assert loop.learning_rate(config, 0) >= 0 and falls == (config.schedule != "constant")
    assert ("-l2" in name or name == "folder") == (config.epsilon > 0) and config.initial in ("", *RECIPES)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nothing"], "recipe: expected one of"),
        (["cifar10-resnet18-l2", "--epochs", "0"], "epochs: expected at least 1"),
        (["cifar10-resnet18-l2", "--epsilon", "-1"], "epsilon: expected at least 0"),
        (["cifar10-resnet18-slim-standard", "--epsilon", "1"], "epsilon: expected a recipe with an attack, got 1"),
        (["folder"], "data: expected a folder or a Hub data set for the recipe folder, got none"),
        (["folder", "--set", "batch=3"], "set: expected FIELD=VALUE with one of name, architecture"),
        (["folder", "--set", "presets=3"], "set: expected FIELD=VALUE with one of name, architecture"),
        (["folder", "--set", "batch_size=many"], "batch_size: expected a whole number, got 'many'"),
        (["folder", "--set", "batch_size=1.5"], "batch_size: expected a whole number, got '1.5'"),
        (["folder", "--set", "freeze_norm=yes"], "freeze_norm: expected true or false, got 'yes'"),
        (["folder", "--set", "mean=1,a,2"], "mean: expected numbers with commas between them, got '1,a,2'"),
        (["folder", "--set", "learning_rate=nan"], "learning_rate: expected at least 0, got nan"),
        (["folder", "--set", "ema=1"], "momentum, ema and label_smoothing: expected less than 1"),
        (["folder", "--set", "std=1,1"], "mean and std: expected three numbers each, got 3 and 2"),
        (["folder", "--set", "phases=32:1:1,64:0:1"], "phases: expected sides of at least 16, weights above 0 and"),
        (
            ["folder", "--set", "phases=8:1:1"],
            "phases: expected sides of at least 16, weights above 0 and at least one",
        ),
        (["folder", "--image-size", "4"], "image_size: expected at least 16, got 4"),
    ],
)
def test_bad_commands_exit_with_one_sentence(arguments, words, capsys):
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2 and capsys.readouterr().err.startswith(words)


def test_own_pictures_are_one_command(tmp_path):
    for name, level in (("dark", 60), ("light", 190)):
        (tmp_path / "own" / "train" / name).mkdir(parents=True)
        for index in range(16):
            Image.new("RGB", (40, 30), (level + index, level, level)).save(tmp_path / f"own/train/{name}/{index}.png")
    changes = ["--set", "width=0.125", "--set", "initial=", "--set", "batch_size=8", "--set", "mean=0.5,0.4,0.3"]
    arguments = ["folder", "--data", str(tmp_path / "own"), "--image-size", "32", "--epochs", "1", "--quiet"]
    main([*arguments, *changes, "--output", str(tmp_path / "run")])
    model = synth.load(tmp_path / "run" / "checkpoint")
    recorded = model.info["recipe"]
    assert model.image_size == 32 and model.width == 0.125 and model.info["data"] == "own"
    assert recorded["batch_size"] == 8 and recorded["epsilon"] == recorded["attack_step_size"] == 0.5
    tuned, former = (c.presets["generation"]["tuned"] for c in (model, recipe("folder")))
    assert tuned["epsilon"] == former["epsilon"] / 2 and tuned["steps"] == former["steps"]
    command = model.info["command"].split()
    source, *settings = zip(command[4::2], command[5::2], strict=True)
    assert command[3] == "folder" and source == ("--data", "FOLDER") and {flag for flag, _ in settings} == {"--set"}
    again = dict(parse(value) for _, value in settings)
    assert again.keys() >= {"width", "initial", "batch_size", "mean", "image_size", "epochs", "epsilon", "padding"}
    expected = recorded | {"base": "folder", "pairs": {}, "presets": model.presets}
    assert json.loads(json.dumps(dataclasses.asdict(recipe("folder", **again)))) == expected


def test_two_domains_take_names_and_become_each_other(tmp_path):
    for name, level in (("trainA", 60), ("trainB", 190)):
        (tmp_path / name).mkdir()
        for index in range(16):
            Image.new("RGB", (32, 32), (level + index, level, level)).save(tmp_path / name / f"{index}.png")
    config = dataclasses.replace(TOY, epochs=1)
    model = train(config, tmp_path, tmp_path / "run", names=["night", "day"], quiet=True)
    assert model.classes == ["night", "day"] and model.pairs == {"night": "day", "day": "night"}
    again = synth.load(tmp_path / "run" / "checkpoint")
    assert again.pairs == model.pairs and again.groups == {}


@pytest.mark.parametrize(
    "left, names, words",
    [
        (1, None, "expected at least 4 pictures of every class, got 1 of B"),
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
        train(TOY, tmp_path, tmp_path / "run", names=names, quiet=True)
    assert not (tmp_path / "run").exists()


def test_a_run_borrows_the_tensors_that_fit(tmp_path, toy):
    lender = Classifier(width=0.125, classes=["a", "b", "c"], info={"name": "lender"})
    checkpoint.save(tmp_path / "lender", lender)
    config = dataclasses.replace(TOY, initial=str(tmp_path / "lender"), learning_rate=1e-9, ema=0, epochs=1)
    model = train(config, toy, tmp_path / "run", quiet=True)
    lent = dict(lender.backbone.named_parameters())
    kept = [one.half().equal(lent[n].half()) for n, one in model.backbone.named_parameters() if "fc" not in n]
    assert all(kept) and model.mean.flatten().tolist() == pytest.approx(list(config.mean))
    with pytest.raises(ValueError, match="initial: expected backbone.fc.weight in a shape that divides"):
        train(dataclasses.replace(config, width=0.25), toy, tmp_path / "wider", quiet=True)
    with pytest.raises(ValueError, match="initial: expected a network like that of toy"):
        train(dataclasses.replace(config, architecture="mobilenet_v2"), toy, tmp_path / "other", quiet=True)


def test_a_teacher_gives_the_targets(tmp_path, toy, whole):
    data, accelerator = load(toy, "train", 32), machine.accelerate()
    model = synth.load(whole[0] / "checkpoint")
    expected = model(data.pictures.float() / 255).softmax(1)
    known = distillation.targets(str(whole[0] / "checkpoint"), data, tmp_path, accelerator)
    torch.testing.assert_close(known, expected, atol=0.05, rtol=0)  # bf16 where the machine has it
    assert torch.equal(distillation.targets("kept in the folder", data, tmp_path, accelerator), known)
    with pytest.raises(ValueError, match="teacher: expected the probabilities of 4 pictures"):
        distillation.targets("kept in the folder", data.subset(torch.arange(4)), tmp_path, accelerator)
    with pytest.raises(ValueError, match="teacher: expected a checkpoint of the classes of the data"):
        distillation.targets("cifar10-judge", data, tmp_path / "other", accelerator)

    taught = dataclasses.replace(TOY, teacher=str(whole[0] / "checkpoint"), mix=0.5)
    train(taught, toy, tmp_path / "run", max_minutes=0, quiet=True)
    resumed = train(taught, toy, tmp_path / "run", quiet=True)
    assert same_weights(resumed, train(taught, toy, tmp_path / "again", quiet=True))
    assert not same_weights(resumed, train(dataclasses.replace(TOY, mix=0.5), toy, tmp_path / "labels", quiet=True))


def test_a_wider_network_begins_with_the_function_of_a_narrower_one(tmp_path, toy):
    lender = make_model(width=0.125)
    checkpoint.save(tmp_path / "lender", lender)
    config = dataclasses.replace(TOY, initial=str(tmp_path / "lender"), width=0.375)
    data = load(toy, "train", 32)
    data = dataclasses.replace(data, classes=lender.classes)
    config = dataclasses.replace(
        config, mean=tuple(lender.mean.flatten().tolist()), std=tuple(lender.std.flatten().tolist())
    )
    wide, x = build(config, data).eval(), torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(wide(x), synth.load(tmp_path / "lender")(x), atol=1e-4, rtol=1e-3)
    first, second = wide.backbone.layer1[0].conv2.weight[:, :24].split(8, 1)[:2]
    assert (first - second).abs().mean() > 0.05 * first.abs().mean(), "training can tell the copies apart"
