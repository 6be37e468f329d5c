"""Training of decoders: it learns, each loss counts, a run resumes to the same weights, bad commands are refused."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch

import synth
from synth import checkpoint
from synth.metrics import psnr
from tests.conftest import make_model
from tests.toys import fork, same_weights, square, write_pictures
from training.data import hold_out, load
from training.discriminator import Discriminator
from training.train_decoder import DecoderConfig, main, normal_scores, train

CONFIG = DecoderConfig(depth=2, width=0.5, epochs=2, batch_size=16, ema=0.9, validation=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_pictures(tmp_path_factory.mktemp("squares"), square, train=35)


@pytest.fixture(scope="module")
def data(folder):
    return load(folder, "train", 32)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """A checkpoint on disk."""
    path = tmp_path_factory.mktemp("encoder")
    checkpoint.save(path, make_model(info={"name": "tiny", "data": "nowhere"}))
    return synth.load(path)


@pytest.fixture(scope="module")
def whole(encoder, data, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    return output, train(CONFIG, encoder, data, output, quiet=True)


def test_a_run_learns_and_leaves_a_whole_checkpoint(whole, encoder, data, tmp_path):
    output, decoder = whole
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    assert lines[1]["pixel"] < lines[0]["pixel"] and {"held_out_psnr_1", "held_out_psnr_2"} <= set(lines[0])
    again = synth.load(output / "checkpoint")
    assert again.decoder.depth == 2 and again.decoder.info["plan"]["epochs"] == 2
    assert again.decoder.info["epochs"] == 2 and again.decoder.info["encoder"] == "tiny"
    scores = again.decoder.info["normal_scores"]
    assert len(scores) == 7 and scores == sorted(scores)
    assert torch.equal(again.head.weight, encoder.head.weight)
    x = data[:][0]
    long = train(dataclasses.replace(CONFIG, epochs=25), encoder, data, tmp_path, quiet=True)
    with torch.no_grad():
        short_psnr, long_psnr = (psnr(one(encoder.maps(x, 2)[-1], 2), x).mean() for one in (decoder, long))
    assert long_psnr > short_psnr + 3


def test_an_ended_budget_resumes_to_the_same_weights(whole, encoder, data, tmp_path):
    for config in (CONFIG, dataclasses.replace(CONFIG, adversarial=0.1)):
        output = tmp_path / str(config.adversarial)
        for _ in range(2):
            train(config, encoder, data, output, max_minutes=0, quiet=True)
        assert synth.load(output / "checkpoint").decoder.info["epochs"] < 1
        uninterrupted = whole[1] if config is CONFIG else train(config, encoder, data, tmp_path / "other", quiet=True)
        assert same_weights(train(config, encoder, data, output, quiet=True), uninterrupted)


@pytest.mark.parametrize("change", [{"pixel": 0}, {"feature": 0}, {"stages": 0}, {"adversarial": 0.5}], ids=str)
def test_each_loss_counts_and_can_be_left_out(change, whole, encoder, data, tmp_path):
    config = dataclasses.replace(CONFIG, deepest=1, **change)
    plain = train(dataclasses.replace(CONFIG, deepest=1), encoder, data, tmp_path / "plain", quiet=True)
    decoder = train(config, encoder, data, tmp_path / "changed", quiet=True)
    assert all(one.isfinite().all() for one in decoder.state_dict().values()) and not same_weights(decoder, plain)


def test_pictures_smaller_than_the_encoders_teach_a_decoder_of_its_own_size(encoder, data, folder, tmp_path):
    settings = ["--side", "16", "--depth", "2", "--epochs", "1", "--batch-size", "16", "--quiet"]
    main([encoder.source, "--data", str(folder), "--output", str(tmp_path), *settings])
    model = synth.load(tmp_path / "checkpoint")
    assert model.decoder.info["plan"]["side"] == 16
    assert model.decoder(model.maps(torch.rand(1, 3, 32, 32), 2)[-1]).shape == (1, 3, 32, 32)
    normal, _ = hold_out(data, DecoderConfig())
    scores = normal_scores(model, model.decoder.eval(), normal, relative=False)
    assert model.decoder.info["normal_scores"] == pytest.approx(scores["normal_scores"], rel=1e-2)  # of its own size
    assert list(scores) == ["normal_scores"]


def test_several_decoders_live_in_one_checkpoint(whole, data, tmp_path):
    output, decoder = whole
    config = dataclasses.replace(CONFIG, name="light", depth=1)
    train(config, synth.load(output / "checkpoint"), data.only(["light"]), tmp_path, quiet=True)
    model = synth.load(tmp_path / "checkpoint")
    assert list(model.decoders) == ["", "light"] and model.decoders["light"].info["classes"] == ["light"]
    assert model.decoder.info == decoder.info
    peaks = model.decoders["light"].info["normal_peaks"]
    assert len(peaks) == len(model.decoders["light"].info["normal_scores"]) and peaks == sorted(peaks)


def test_two_processes_train_one_decoder(folder, encoder, tmp_path):
    settings = ["--depth", "2", "--width", "0.5", "--epochs", "1", "--batch-size", "16", "--quiet"]
    command = [encoder.source, "--data", str(folder), "--output", str(tmp_path / "run"), *settings]
    fork("training.train_decoder:main", *command)
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["processes"] == 2
    assert synth.load(tmp_path / "run" / "checkpoint").decoder.depth == 2


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--epochs", "0"], "epochs: expected at least 1, got 0"),
        (["--pixel", "-1"], "pixel: expected a weight of at least 0, got -1.0"),
        (["--pixel", "nan"], "pixel: expected a weight of at least 0, got nan"),
        (
            ["--pixel", "0", "--feature", "0"],
            "pixel: expected one of pixel, feature and adversarial above 0, got none",
        ),
        (["--side", "-8"], "side: expected at least 0, got -8"),
        (["--side", "20"], "side: expected a multiple of 8 pixels, which the stages make one, got 20"),
        (["--depth", "9"], "depth: expected 1 to 4, the stages of tiny, got 9"),
        (["--only", "grey"], "only: expected classes of the data, dark, light, got grey"),
        (["--data", "nowhere/at/all"], "data: expected a folder or a Hub data set, got 'nowhere/at/all'"),
    ],
)
def test_bad_commands_are_one_sentence(more, words, encoder, folder, tmp_path, capsys):
    arguments = [encoder.source, "--output", str(tmp_path), "--data", str(folder), *more]
    with pytest.raises(SystemExit) as exit:
        main(arguments)
    assert exit.value.code == 2 and capsys.readouterr().err.strip() == words
    assert list(tmp_path.iterdir()) == []


def test_only_keeps_the_pictures_of_the_classes(data):
    kept = data.only(["light"])
    assert kept.classes == ["light"] and len(kept) == 35
    grouped = dataclasses.replace(data, groups={"squares": ["dark", "light"]})
    assert grouped.only(["squares"]).classes == ["dark", "light"]
    assert Discriminator(16)(torch.rand(2, 3, 32, 32), torch.rand(2, 16, 8, 8)).shape == (2, 1, 4, 4)


def test_a_run_begins_with_another_checkpoints_decoder(whole, encoder, data, tmp_path):
    output, _ = whole
    short = dataclasses.replace(CONFIG, epochs=1, seed=1)
    train(short, encoder, data, tmp_path / "from-nothing", quiet=True)
    train(dataclasses.replace(short, initial=str(output / "checkpoint")), encoder, data, tmp_path / "on", quiet=True)
    anew, further = (json.loads((tmp_path / name / "metrics.jsonl").read_text()) for name in ("from-nothing", "on"))
    assert further["pixel"] < anew["pixel"]
    for changed, words in (({"name": "squares"}, "with a decoder 'squares'"), ({"depth": 1}, "of the same shape")):
        config = dataclasses.replace(short, initial=str(output / "checkpoint"), **changed)
        with pytest.raises(ValueError, match=f"initial: expected .*{words}"):
            train(config, encoder, data, tmp_path / "no", quiet=True)
