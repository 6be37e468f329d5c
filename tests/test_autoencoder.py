"""Decoders: their shapes at every depth and size, what they keep on disk, and the tasks that need them."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

import synth
from synth import checkpoint, hub, pictures
from synth.autoencoder import Decoder, details
from synth.backbones import BACKBONES
from synth.objectives import feature_distance
from synth.tasks import anomaly_detection
from synth.tasks.style_transfer import whiten_and_colour
from tests.conftest import CLASSES, draw_picture, make_decoders, make_model


@pytest.mark.parametrize("name", BACKBONES)
def test_stages_lead_to_the_last_map_and_a_decoder_mirrors_them(name):
    size = 64 if name.startswith(("resnet", "mobilenet")) else 128
    width = 0.25 if name in ("resnet18", "mobilenet_v2") else 1
    model = synth.Classifier(name, CLASSES, size, width).eval()
    x = torch.rand(1, 3, size, size)
    with torch.no_grad():
        maps = model.maps(x, 99)
        sides = [one.shape[-1] for one in maps]
        assert sides == sorted(sides, reverse=True) and len(maps) == {"vgg16_bn": 6, "resnet56": 3}.get(name, 4)
        assert [one.shape for one in model.maps(x, 2)] == [one.shape for one in maps[:2]]
        assert torch.equal(maps[-1], model.feature_map(x))
        expected = model.backbone((x - model.mean) / model.std)
        torch.testing.assert_close(model(x), expected, atol=1e-4, rtol=1e-4)
        decoder = Decoder(*model.stage_shapes(3), width=0.1).eval()
        assert decoder(maps[2], 3).shape == x.shape


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [32, 64])
def test_every_depth_and_size_decodes_to_a_picture(model, depth, size):
    x = torch.rand(2, 3, size, size)
    with torch.no_grad():
        z = model.maps(x, depth)[-1]
        decoded = model.decoder(z, depth)
        alone = model.decoder(z[:1], depth)
    assert decoded.shape == x.shape and decoded.min() >= 0 and decoded.max() <= 1
    torch.testing.assert_close(alone, decoded[:1], atol=1e-5, rtol=0)


@pytest.mark.parametrize("depth", [0, 5])
def test_a_depth_that_the_encoder_lacks_is_refused(model, depth, picture):
    with pytest.raises(ValueError, match="^depth: expected 1 to "):
        model.stage_shapes(depth)
    with pytest.raises(ValueError, match="^depth: expected 1 to "):
        synth.interpolation(model, picture=picture, other=picture, depth=depth)


def test_standardised_maps_have_no_mean_and_one_deviation(model):
    maps = model.maps(torch.rand(64, 3, 32, 32), 3)
    decoder = Decoder(*model.stage_shapes(3))
    decoder.standardise(maps)
    for depth, z in enumerate(maps, 1):
        channels = decoder.normalise(z, depth).transpose(0, 1).flatten(1)
        assert channels.mean(1).abs().max() < 1e-3
        assert (channels.std(1) < 1.01).all() and (channels.std(1) > 0.99).float().mean() > 0.5


def test_the_folded_copy_decodes_the_same(model):
    z = torch.rand(2, 64, 4, 4)
    torch.testing.assert_close(model.decoder.inference_copy()(z, 4), model.decoder(z, 4), atol=1e-4, rtol=0)
    assert not any(one.requires_grad for one in model.inference_copy().decoder.parameters())


def test_a_decoder_comes_back_with_its_checkpoint_and_is_no_part_of_the_classifier(tmp_path):
    model = make_model(info={"name": "tiny"})
    keys = set(model.state_dict())
    model.decoders = make_decoders(model)
    assert set(model.state_dict()) == keys
    checkpoint.save(tmp_path, model)
    again = synth.load(tmp_path)
    assert list(again.decoders) == ["", "squares"] and again.decoder.info == model.decoder.info
    z = torch.rand(1, 64, 4, 4)
    torch.testing.assert_close(again.decoder(z, 4), model.decoder(z, 4), atol=2e-2, rtol=0)  # half precision
    described = (tmp_path / "decoder.json").read_text()
    (tmp_path / "decoder.json").write_text("{")
    with pytest.raises(ValueError, match="^decoder: expected a whole decoder.safetensors and decoder.json, got "):
        synth.load(tmp_path)
    (tmp_path / "decoder.json").write_text(described)
    (tmp_path / "decoder.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(ValueError, match="^checkpoint: .* is damaged: decoder.safetensors differs"):
        synth.load(tmp_path)
    (tmp_path / "decoder.json").unlink()
    with pytest.raises(ValueError, match="^checkpoint: .* is incomplete: no decoder.json$"):
        synth.load(tmp_path)


def test_details_are_what_averages_leave_out():
    z = torch.rand(1, 3, 8, 8)
    assert F.avg_pool2d(details(z), 2).abs().max() < 1e-6
    assert details(torch.ones(1, 3, 8, 8)).abs().max() == 0 and details(torch.rand(1, 3, 1, 1)).abs().max() == 0
    low, high, low_high, both = (torch.tensor(rows) for rows in ([1.0, 1], [1.0, -1], [1.0, 1], [1.0, -1]))
    bands = [torch.outer(a, b).flatten() / 2 for a, b in ((high, low), (low_high, high), (both, high))]
    block = z[0, 0, :2, :2].flatten()
    haar = sum((block @ band) * band for band in bands).view(2, 2)
    torch.testing.assert_close(details(z)[0, 0, :2, :2], haar)


def test_skips_carry_the_finest_details_of_each_stage(model):
    maps = model.maps(torch.rand(1, 3, 32, 32), 3)
    decoder = model.decoder
    for part in (0, 0.5, 1):
        plain = decoder.decode_stages(decoder.normalise(maps[-1], 3), 3)[1]
        decoded = decoder.decode_stages(decoder.normalise(maps[-1], 3), 3, maps, part)[1]
        sought = details(decoder.normalise(maps[1], 2))
        torch.testing.assert_close(details(decoded), part * sought + (1 - part) * details(plain), atol=1e-5, rtol=0)
        torch.testing.assert_close(F.avg_pool2d(decoded, 2), F.avg_pool2d(plain, 2), atol=1e-5, rtol=0)


def test_the_distance_is_relative_and_zero_for_the_picture_itself(model):
    x = torch.rand(3, 3, 32, 32)
    z = model.maps(x, 2)[-1]
    loss = feature_distance(model, z, 2)
    assert loss(x).max() == 0
    other = model.maps(x.flip(0), 2)[-1]
    expected = [(other[i] - z[i]).norm() / z[i].norm() for i in range(3)]
    torch.testing.assert_close(loss(x.flip(0)), torch.stack(expected))


# The tasks


def test_reconstruction_decodes_and_optimises(model, picture):
    frame = synth.reconstruction(model, picture=picture, depth=2, steps=30, size="2")
    x = pictures.to_tensor(picture, 64)
    assert frame.captions == ("rebuilt by a decoder", "from its deepest features", "rebuilt step by step")
    with torch.no_grad():
        decoded = torch.cat([model.decoder(model.maps(x, depth)[-1], depth) for depth in (2, 4)])
    torch.testing.assert_close(frame.pictures[:2], decoded, atol=1e-4, rtol=0)
    start = feature_distance(model, model.maps(x, 2)[-1], 2)(frame.start[2:])
    assert frame.loss[2] < 0.8 * start
    deepest = synth.reconstruction(model, picture=picture, depth=4, steps=1)
    assert deepest.captions == ("rebuilt by a decoder", "rebuilt step by step")


def test_reconstruction_by_the_decoder_alone(model, picture):
    alone = synth.reconstruction(model, picture=picture, depth=2, show="decoder")
    every = synth.reconstruction(model, picture=picture, depth=2, steps=1)
    assert torch.equal(alone.pictures, every.pictures[:1]) and alone.captions == ()
    assert torch.equal(alone.start, pictures.to_tensor(picture, 32))
    figures = [synth.TASKS["reconstruction"].compare(frame, picture) for frame in (alone, every)]
    assert list(figures[0]) == ["rebuilt by a decoder"] and figures[0].items() <= figures[1].items()


def test_reconstruction_beside_another_checkpoint(tiny, picture):
    model = hub.load("tiny")
    frame = synth.reconstruction(model, picture=picture, beside="plain", steps=1)
    alone = synth.reconstruction(model, picture=picture, beside="plain", steps=1, show="decoder")
    assert alone.captions == frame.captions, "another checkpoint that was asked for is never left out"
    assert frame.captions == ("rebuilt by a decoder", "from the features of plain", "rebuilt step by step")
    other = synth.reconstruction(hub.load("plain"), picture=picture, steps=1)
    assert torch.equal(frame.pictures[1], other.pictures[0])
    with pytest.raises(ValueError, match="^beside: expected one of "):
        synth.reconstruction(model, picture=picture, beside="nowhere")


def test_interpolation_begins_and_ends_with_the_two_pictures(model, picture):
    other = picture.rotate(90)
    frame = synth.interpolation(model, picture=picture, other=other, count=5, depth=3)
    ends = torch.cat([pictures.to_tensor(one, 32) for one in (picture, other)])
    with torch.no_grad():
        decoded = model.decoder(model.maps(ends, 3)[-1], 3)
    torch.testing.assert_close(frame.pictures[[0, -1]], decoded, atol=1e-4, rtol=0)
    torch.testing.assert_close(frame.start[2], ends.mean(0), atol=1e-6, rtol=0)


def test_a_blend_varies_as_much_as_its_ends_where_contrast_is_asked_for(model, picture, monkeypatch):
    decoded, forward = [], type(model.decoder).forward
    monkeypatch.setattr(type(model.decoder), "forward", lambda *given: decoded.append(given[1]) or forward(*given))
    ends = dict(picture=picture, other=picture.rotate(90), count=3, depth=2)
    spreads = []
    for contrast in (0, 0.5, 1):
        list(synth.TASKS["interpolation"].frames(model, contrast=contrast, **ends))
        spreads.append(decoded[-1].std((2, 3)))
    plain, half, full = spreads
    torch.testing.assert_close(full[1], (plain[0] + plain[2]) / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(half[1], (plain[1] + full[1]) / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(full[[0, 2]], plain[[0, 2]], atol=1e-4, rtol=1e-4)
    assert (full[1] > plain[1]).any()


@pytest.mark.parametrize("sigma", [0, 50])
def test_denoising_starts_from_the_noise_that_was_asked_for(model, sigma):
    grey = torch.full((3, 32, 32), 0.5)
    frame = synth.denoising(model, picture=grey, sigma=sigma)
    assert frame.start.std().item() == pytest.approx(sigma / 255, abs=0.01)


def test_recoloured_features_have_the_mean_and_covariance_of_the_style():
    random = torch.Generator().manual_seed(0)
    content, style = (torch.randn(1, 6, 12, 12, generator=random) * torch.rand(6, 1, 1, generator=random) for _ in "12")
    coloured = whiten_and_colour(content, style + 1)
    assert torch.allclose(coloured.mean((2, 3)), style.mean((2, 3)) + 1, atol=1e-4)
    assert torch.allclose(torch.cov(coloured[0].flatten(1)), torch.cov(style[0].flatten(1)), atol=1e-3)
    torch.testing.assert_close(whiten_and_colour(content, content), content, atol=1e-3, rtol=0)


def test_without_strength_style_transfer_only_decodes(model, picture):
    settings = dict(picture=picture, depth=1, size="1")
    plain = synth.style_transfer(model, style=picture.rotate(90), strength=0, **settings).pictures
    x = pictures.to_tensor(picture, 32)
    with torch.no_grad():
        torch.testing.assert_close(plain, model.decoder(model.maps(x, 1)[-1], 1), atol=1e-4, rtol=0)
    assert not torch.equal(synth.style_transfer(model, style=picture.rotate(90), **settings).pictures, plain)


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
    assert again.note.startswith("one place does not fit: it is odder than any place in 2 normal pictures; ")
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
    assert warm[9:15, 9:15].min() == pytest.approx(1 - anomaly_detection.THROUGH) and warm[20:].max() == 0
    hotter = anomaly_detection.heat(3 * level, x).mean(1)[0]
    assert torch.allclose(hotter, warm)  # what is odd beyond the scale still has its shades
    grey = anomaly_detection.heat(torch.zeros(1, 1, 32, 32), x + 0.4)
    assert torch.allclose(grey, torch.full_like(x, 0.4 * anomaly_detection.DIM))


def test_no_feature_fits_less_where_the_decoder_of_everything_is_the_one_of_normal_pictures(model, picture):
    x = pictures.to_tensor(picture, 32)
    assert (anomaly_detection.feature_misfit(model, model.decoder, x) == 0).all()
    level = anomaly_detection.feature_misfit(model, model.decoders["squares"], x)
    assert level.shape == (1, 1, 32, 32) and level.std() > 0


def test_generation_may_take_its_first_steps_through_features(model):
    frames = list(synth.generation.frames(model, count=2, steps=3, latent_steps=2, class_name="dot"))
    assert [frame.step for frame in frames] == [0, 1, 2, 3, 4, 5] and {frame.steps for frame in frames} == {5}
    assert all(torch.equal(frame.start, frames[0].pictures) for frame in frames)
    bare = copy.deepcopy(model)
    bare.decoders = {}
    with pytest.raises(ValueError, match="^latent_steps: expected 0, since tiny has no decoder, got 2$"):
        synth.generation(bare, latent_steps=2)
    with pytest.raises(ValueError, match="^checkpoint: expected one that python -m training.train_decoder ran on"):
        synth.denoising(bare, picture=draw_picture())


def test_defaults_stay_within_what_a_shallow_decoder_knows(model, picture):
    shallow = copy.deepcopy(model)
    shallow.decoders = {"": make_decoders(model)["squares"]}
    assert synth.generation(shallow, count=1, steps=1).pictures.shape == (1, 3, 32, 32)
    assert synth.reconstruction(shallow, picture=picture, steps=1).settings["depth"] == 2
    with pytest.raises(ValueError, match="^depth: expected 1 to 2, the stages that tiny can decode, got 3$"):
        synth.interpolation(shallow, picture=picture, other=picture, depth=3)
