"""Anomalies: scores, and heat maps that are hot where something does not fit."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch

import synth
from synth import pictures
from synth.tasks import anomaly_detection


def test_anomaly_scores_fall_as_the_features_are_optimised(model, picture):
    settings = {"picture": picture, "normal": "squares", "relative_to": "nothing", "show": "rebuilt"}
    begun, first, last = synth.anomaly_detection.frames(model, steps=2, **settings)
    assert last.loss[0] < first.loss[0] == first.loss[1] and torch.equal(begun.pictures, begun.start)
    x, rebuilt = pictures.to_tensor(picture, 32), last.pictures[1:2]
    assert last.loss[0].item() == pytest.approx((rebuilt - x).square().mean().item(), rel=1e-4)
    assert last.note == f"score {last.loss[0]:.4f}"
    with pytest.raises(ValueError, match="^normal: expected one of squares, got 'dogs'$"):
        synth.anomaly_detection(model, picture=picture, normal="dogs")


def test_anomaly_scores_are_over_what_the_decoder_of_everything_leaves(model, picture):
    settings = {"picture": picture, "normal": "squares", "show": "rebuilt"}
    frame = synth.anomaly_detection(model, **settings)
    plain = synth.anomaly_detection(model, **settings, relative_to="nothing")
    x, depth = pictures.to_tensor(picture, 32), model.decoders["squares"].depth
    with torch.no_grad():
        usual = model.decoder(model.maps(x, depth)[-1], depth)
    leaves = (usual - x).square().mean()
    assert frame.loss[0].item() == pytest.approx((plain.loss[0] / leaves).item(), rel=1e-4)
    assert "times the usual, higher than" in frame.note and "normal" not in plain.note
    model.decoders["squares"].info["normal_peaks"] = [-1, 1e9]
    assert "odder" not in frame.note and model.decoders["squares"].info["normal_scores"]
    again = synth.anomaly_detection(copy.deepcopy(model), picture=picture, normal="squares")
    words, _, whole = frame.note.partition(", higher than ")
    whole = whole.removesuffix(" of normal pictures that it never saw")
    place = "no place is unusual: 50% of normal pictures have an odder one"
    score = words.removesuffix(" times the usual")
    odd = f"but the whole is odd ({score}, above 100% of theirs)"
    assert again.note == f"{place}; {odd if whole == '100%' else 'the whole is ordinary, too'}"
    model.decoders["squares"].info["normal_peaks"] = [-2, -1]
    again = synth.anomaly_detection(copy.deepcopy(model), picture=picture, normal="squares")
    assert again.note.startswith("one place does not fit: none of 2 normal pictures has one so odd; ")
    del model.decoders["squares"].info["normal_peaks"]
    assert frame.captions == ("what does not fit", "rebuilt as squares", "rebuilt as anything")
    torch.testing.assert_close(frame.pictures[2:], usual, atol=1e-4, rtol=0)
    assert plain.captions == ("what does not fit", "rebuilt as squares")
    level = anomaly_detection.pixel_misfit(plain.pictures[1:], x) / anomaly_detection.HOTTEST_PIXEL
    torch.testing.assert_close(plain.pictures[:1], anomaly_detection.heat(level, x), atol=1e-4, rtol=0)
    alone = synth.anomaly_detection(model, **settings | {"show": "place"})
    assert alone.captions == () and torch.equal(alone.pictures, frame.pictures[:1])
    everything = synth.anomaly_detection(model, picture=picture)
    assert "times" not in everything.note and "of normal pictures that it never saw" in everything.note


def test_the_heat_map_is_hot_where_the_pictures_differ():
    x, rebuilt = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    rebuilt[..., 8:16, 8:16] = 1
    level = anomaly_detection.pixel_misfit(rebuilt, x)
    warm = anomaly_detection.heat(level, x).mean(1)[0]
    assert warm[9:15, 9:15].min() == 1 and warm[20:].max() == 0
    grey = anomaly_detection.heat(torch.zeros(1, 1, 32, 32), x + 0.4)
    assert torch.allclose(grey, torch.full_like(x, 0.4 * anomaly_detection.DIM))


def test_no_feature_fits_less_where_the_decoder_of_everything_is_the_one_of_normal_pictures(model, picture):
    x = pictures.to_tensor(picture, 32)
    assert (anomaly_detection.feature_misfit(model, model.decoder, x) == 0).all()
    level = anomaly_detection.feature_misfit(model, model.decoders["squares"], x)
    assert level.shape == (1, 1, 32, 32) and level.std() > 0


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_a_stage_is_drawn_over_the_pixels_that_it_sees(model, depth):
    """The middle of what a change of 4 x 4 pixels changes is, on average, the middle of these pixels."""
    x, error = torch.full((1, 3, 64, 64), 0.5), torch.zeros(2)
    plain, places = model.maps(x, depth)[-1], range(20, 44, 2)
    for row, column in itertools.product(places, repeat=2):
        changed = x.clone()
        changed[..., row - 2 : row + 2, column - 2 : column + 2] = 1
        level = (model.maps(changed, depth)[-1] - plain).square().mean(1, keepdim=True)
        level = anomaly_detection.over_pixels(level, 64)[0, 0]
        found = torch.stack([level.sum(1), level.sum(0)]) @ torch.arange(64.0) / level.sum()
        error += (found - torch.tensor([row - 0.5, column - 0.5])) / len(places) ** 2
    assert error.abs().max() < 1
