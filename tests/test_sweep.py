"""The sweep: one parameter at a time, a table by FID, the command from end to end."""

import re

import numpy as np
import pytest
import torch
from PIL import Image

from synth import checkpoint
from synth.classifier import Classifier
from synth.tasks import TASKS
from tests.conftest import CLASSES, make_model, make_start
from tests.test_samples import make_judge, make_pictures
from training import sweep


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A checkpoint with a short preset, a judge, and a folder data set of their classes."""
    root = tmp_path_factory.mktemp("sweep")
    classes = sorted(CLASSES)  # as a folder data set has them
    torch.manual_seed(0)
    preset = {"generation": {"tuned": {"steps": 2, "epsilon": 3}}}
    model = Classifier(classes=classes, width=0.125, info={"name": "tiny"}, presets=preset)
    model.start_tensors = make_start()
    checkpoint.save(root / "tiny", model)
    checkpoint.save(root / "judge", make_judge(classes=classes))
    for split, count in (("train", 24), ("test", 12)):
        data = make_pictures(count, classes=classes)
        for index, (picture, label) in enumerate(zip(data.pictures, data.labels, strict=True)):
            folder = root / "data" / split / data.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(picture.permute(1, 2, 0))).save(folder / f"{index}.png")
    return root


def test_rows_differ_from_the_preset_in_one_setting_and_none_comes_twice(model):
    preset = {name: TASKS["generation"].check(model)[name] for name in sweep.SWEPT}
    rows = sweep.one_at_a_time(model, {"epsilon": [4, preset["epsilon"], 4.0], "start": ["pca", preset["start"]]})
    assert rows == [preset, preset | {"epsilon": 4.0}, preset | {"start": "pca"}]


def test_the_default_grid_is_small_and_valid(model):
    rows = sweep.one_at_a_time(model, sweep.around(model))
    assert all(sum(row[name] != rows[0][name] for name in sweep.SWEPT) == 1 for row in rows[1:])
    assert {name for row in rows[1:] for name in sweep.SWEPT if row[name] != rows[0][name]} == set(sweep.SWEPT)
    assert len(rows) < 16


def test_a_checkpoint_without_statistics_starts_from_noise():
    assert sweep.around(make_model())["start"] == ["noise"]


def test_the_table_is_sorted_by_fid_and_shows_what_changed(model):
    preset, changed = sweep.one_at_a_time(model, {"epsilon": [4]})
    figures = {"judge_accuracy": {"value": 0.5, "count": 8, "interval": [0.2, 0.8]}, "kid": {"mean": 0.1, "std": 0.2}}
    figures |= {"precision": 0.3, "recall": 0.4, "seconds_per_picture": 0.12345}
    rows = [figures | {"settings": s, "fid": fid} for s, fid in ((None, 5.0), (preset, 9.0), (changed, 7.0))]
    lines = sweep.markdown(rows).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert [bool(re.search(text, line)) for text, line in zip(("real", r"\*\*4\*\*", "| 8 |"), lines[2:], strict=True)]
    assert "**" not in lines[4] and "0.123" in lines[4] and "50.0% (20.0% to 80.0%)" in lines[4]


def test_the_command_writes_the_table_it_prints(folders, tmp_path, capsys):
    paths = [str(folders / "tiny"), "--judge", str(folders / "judge"), "--data", str(folders / "data")]
    grid = ["--start", "--objective", "--step-size", "--steps", "1", "--epsilon", "2", "3", "--crop"]
    output = tmp_path / "deep" / "table.md"
    sweep.main([*paths, *grid, "--count", "8", "--batch", "4", "--output", str(output)])
    printed = capsys.readouterr().out
    assert output.read_text().endswith("\n\n" + printed) and "--judge" in output.read_text()
    assert len(printed.splitlines()) == 2 + 4  # the preset, one other epsilon, one other steps, the real pictures
    fids = [float(line.split("|")[8]) for line in printed.splitlines()[2:]]
    assert fids == sorted(fids)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--epsilon", "-1"], "epsilon: expected"),
        (["--count", "3"], "count: expected at least 8"),
        (["--start", "moon"], "start: expected one of"),
        (["--judge", "nowhere"], "checkpoint: expected one of"),
    ],
)
def test_bad_arguments_exit_with_one_sentence(folders, arguments, words, capsys):
    paths = [str(folders / "tiny"), "--judge", str(folders / "judge"), "--data", str(folders / "data")]
    with pytest.raises(SystemExit) as exit:
        sweep.main([*paths, *arguments])
    assert exit.value.code == 2 and capsys.readouterr().err.startswith(words)
