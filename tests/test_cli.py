"""The command line: every task, repetition, help, bad input."""

import numpy as np
import pytest
from PIL import Image

from synth import hub, starts
from synth.__main__ import main
from synth.checkpoint import save
from synth.parameters import flag
from synth.record import Record
from synth.tasks import TASKS


@pytest.fixture
def checkpoint(model, tmp_path):
    """The tests' tiny model in a folder, with its start statistics."""
    folder = tmp_path / "tiny"
    save(folder, model)
    return folder


@pytest.fixture
def arguments(checkpoint, picture, tmp_path):
    """For each task, a short command line that fits its declaration."""
    picture.save(tmp_path / "picture.png")
    hole = np.zeros((picture.height, picture.width), np.uint8)
    hole[4:20, 5:20] = 255
    Image.fromarray(hole).save(tmp_path / "mask.png")

    def build(task):
        pictures = {name: tmp_path / "picture.png" for name in ("picture", "other", "style")}
        settings = {**pictures, "mask": tmp_path / "mask.png", "class_name": "0", "steps": 3}
        arguments = [task.name, "--checkpoint", str(checkpoint), "--output", str(tmp_path / "out.png")]
        for name, value in settings.items():
            if name in task.parameters:
                arguments += [flag(name), str(value)]
        return arguments

    return build


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_a_command_twice_and_its_repetition_give_the_same_pixels(task, arguments, checkpoint, tmp_path):
    assert main(arguments(task)) == 0
    first = np.asarray(Image.open(tmp_path / "out.png"))
    record = Record.read(tmp_path / "out.png")
    assert record.task == task.name and record.settings.get("steps", 3) == 3
    assert record.checkpoint and record.version
    assert main(arguments(task)) == 0
    assert np.array_equal(first, np.asarray(Image.open(tmp_path / "out.png")))
    again = [task.name, "--like", str(tmp_path / "out.png"), "--checkpoint", str(checkpoint)]
    assert main([*again, "--output", str(tmp_path / "again.png")]) == 0
    assert np.array_equal(first, np.asarray(Image.open(tmp_path / "again.png")))


def test_like_with_one_change_changes_only_that(arguments, checkpoint, tmp_path):
    main([*arguments(TASKS["generation"]), "--count", "2"])
    again = ["generation", "--like", str(tmp_path / "out.png"), "--checkpoint", str(checkpoint), "--seed", "5"]
    main([*again, "--output", str(tmp_path / "other.png")])
    before, after = (Record.read(tmp_path / name).settings for name in ("out.png", "other.png"))
    assert after == before | {"seed": 5}


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_help_explains_every_parameter(task, capsys):
    with pytest.raises(SystemExit):
        main([task.name, "--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for name, parameter in task.parameters.items():
        assert flag(name) in shown and " ".join(parameter.help.split()) in shown


@pytest.mark.parametrize(
    "more, sentence",
    [
        (["--steps", "0"], "steps: expected 1 to 1000, got 0"),
        (["--steps", "many"], "steps: expected a number from 1 to 1000, got 'many'"),
        (["--epsilon", "nan"], "epsilon: expected 0.01 to 100 L2, got nan"),
        (["--epsilon", "-1"], "epsilon: expected 0.01 to 100 L2, got -1.0"),
        (["--class", "unicorn"], "class_name: expected one of"),
        (["--checkpoint", "none"], "checkpoint: expected one of"),
        (["--like", "none.png"], "like: expected a readable picture file"),
        (["--zoom", "0"], "zoom: expected 1 to 64, got 0"),
        (["--preset", "best"], "preset: expected one of tuned, paper, got 'best'"),
        (["--output", "no/such/folder/x.png"], "output: expected a writable path"),
    ],
)
def test_bad_input_gets_one_sentence_and_status_2(more, sentence, arguments, capsys):
    assert main([*arguments(TASKS["generation"]), *more]) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.split("\r")[-1].strip().startswith(sentence)


def test_like_of_another_task_is_refused(arguments, tmp_path, capsys):
    main(arguments(TASKS["sketch"]))
    assert main(["generation", "--like", str(tmp_path / "out.png")]) == 2
    assert "like: expected a PNG of generation, got one of sketch" in capsys.readouterr().err


def test_bundled_checkpoints_are_listed(checkpoint, monkeypatch, capsys):
    monkeypatch.setattr(hub, "BUNDLED", checkpoint.parent)
    assert main(["checkpoints"]) == 0
    assert "tiny (bundled): not evaluated" in capsys.readouterr().out


def test_start_statistics_survive_the_folder(model, checkpoint):
    assert starts.load(checkpoint / "start.safetensors")["basis"].shape == model.start_tensors["basis"].shape
