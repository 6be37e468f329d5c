"""Every kind of picture file becomes RGB with the right values, or one sentence; settings survive inside a PNG."""

import random

import numpy as np
import pytest
import torch
from PIL import Image

from synth import pictures
from tests.conftest import draw_mask, draw_picture

SENTENCE = r"^photo: expected [^\n]+, got [^\n]+$"


def array(image):
    return np.asarray(image)


def refused(value, match=SENTENCE, reader=pictures.read):
    with pytest.raises(ValueError, match=match):
        reader(value, "photo")


def test_rgb_is_read_from_path_image_array_and_tensor(tmp_path, picture):
    picture.save(tmp_path / "x.png")
    tensor = torch.from_numpy(array(picture).copy()).permute(2, 0, 1) / 255
    levels = torch.from_numpy(array(picture).copy()).permute(2, 0, 1)
    path = tmp_path / "x.png"
    for value in (path, str(path), picture, array(picture), tensor, tensor[None], levels, levels[None]):
        image = pictures.read(value)
        assert image.mode == "RGB"
        np.testing.assert_array_equal(array(image), array(picture))


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tiff", "gif", "jpg"])
def test_common_formats_are_read(tmp_path, picture, suffix):
    picture.save(tmp_path / f"x.{suffix}", lossless=True, quality=95)
    loaded = array(pictures.read(tmp_path / f"x.{suffix}")).astype(float)
    assert np.abs(loaded - array(picture)).mean() < (5 if suffix in ("jpg", "gif") else 1e-9)


@pytest.mark.parametrize("mode", ["P", "1", "L", "CMYK", "YCbCr", "HSV", "RGBA", "LA"])
def test_other_modes_are_converted(tmp_path, picture, mode):
    image = picture.convert("L").convert(mode) if mode == "LA" else picture.convert(mode)
    loaded = pictures.read(image)
    assert loaded.mode == "RGB"
    np.testing.assert_array_equal(array(loaded), array(image.convert("RGB")))


def test_palette_file_has_the_colours_of_its_palette(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.save(tmp_path / "x.png")
    assert (array(pictures.read(tmp_path / "x.png")) == (10, 200, 30)).all()


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "x.jpg", quality=100)
    assert np.abs(array(pictures.read(tmp_path / "x.jpg")).astype(int) - (255, 0, 0)).max() <= 3


def test_sixteen_bits_are_scaled_not_cut(tmp_path):
    levels = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    Image.fromarray(levels).save(tmp_path / "x.png")
    for value in (tmp_path / "x.png", levels, levels.astype(np.int32)):
        loaded = array(pictures.read(value))
        np.testing.assert_array_equal(loaded, np.repeat(np.round(levels / 257)[..., None], 3, 2))


def test_grey_arrays_and_single_channels():
    levels = np.arange(64, dtype=np.uint8).reshape(8, 8)
    for value in (levels, levels[..., None], torch.from_numpy(levels)[None] / 255, levels.astype(np.float32)):
        np.testing.assert_array_equal(array(pictures.read(value)), np.repeat(levels[..., None], 3, 2))
    np.testing.assert_array_equal(array(pictures.read(levels > 20))[..., 0], 255 * (levels > 20))


def test_transparency_becomes_white(tmp_path):
    levels = np.zeros((8, 8, 4), np.uint8)
    levels[..., 0] = 200
    levels[:4, :, 3], levels[4:6, :, 3] = 255, 51
    Image.fromarray(levels).save(tmp_path / "x.png")
    loaded = array(pictures.read(tmp_path / "x.png")).astype(int)
    assert (loaded[:4] == (200, 0, 0)).all()
    assert np.abs(loaded[4:6] - (244, 204, 204)).max() <= 1
    assert (loaded[6:] == 255).all()


def test_transparent_palette_colour_becomes_white(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    image.paste(0, (0, 0, 4, 8))
    image.save(tmp_path / "x.png", transparency=1)
    loaded = array(pictures.read(tmp_path / "x.png"))
    assert (loaded[:, :4] == 0).all() and (loaded[:, 4:] == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, orientation):
    levels = np.arange(8 * 6, dtype=np.uint8).reshape(8, 6) * 5
    upright = {
        1: levels, 2: levels[:, ::-1], 3: levels[::-1, ::-1], 4: levels[::-1],
        5: levels.T, 6: np.rot90(levels, -1), 7: levels[::-1, ::-1].T, 8: np.rot90(levels),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(levels).save(tmp_path / "x.png", exif=exif)
    np.testing.assert_array_equal(array(pictures.read(tmp_path / "x.png"))[..., 0], upright)


def test_animations_are_refused(tmp_path):
    frames = [Image.new("L", (8, 8), level) for level in (0, 255, 100)]
    for name in ("x.gif", "x.png", "x.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        for reader in (pictures.read, pictures.read_mask):
            refused(tmp_path / name, r"^photo: expected a still picture, got an animation$", reader)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(1, 1), (3, 32), (10_000, 10_000), (4097, 8), (20_000, 20_000)])
def test_sizes_out_of_bounds_are_refused(tmp_path, size):
    Image.new("1", size).save(tmp_path / "x.png")
    refused(tmp_path / "x.png")


@pytest.mark.parametrize("size", [(4, 4), (4096, 4)])
def test_sizes_at_the_bounds_are_read(size):
    assert pictures.read(Image.new("L", size)).size == size


@pytest.mark.filterwarnings("ignore::UserWarning")  # of PIL, for damaged TIFF files
@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "webp", "bmp"])
def test_truncated_and_damaged_files_are_one_sentence(tmp_path, suffix):
    """Cut at 40 places and struck at 40 more: a picture or one sentence, for each of the readers."""
    path, chance = tmp_path / f"x.{suffix}", random.Random(0)
    draw_picture().save(path)
    whole = path.read_bytes()
    failures = 0
    for attempt in range(80):
        data = bytearray(whole[: chance.randrange(len(whole))] if attempt % 2 else whole)
        for _ in range(0 if attempt % 2 else 4):
            data[chance.randrange(min(len(data), 200))] = chance.randrange(256)
        path.write_bytes(data)
        for reader in (pictures.read, pictures.read_mask):
            try:
                assert reader(path, "photo").mode in ("RGB", "1")
            except ValueError as error:
                failures += 1
                assert str(error).startswith("photo: expected ") and "\n" not in str(error)
    assert failures > 20


@pytest.mark.parametrize(
    "value",
    [
        "nowhere.png",
        "",
        "\0",
        ".",
        None,
        7,
        b"bytes",
        ["a.png"],
        np.zeros((8, 8, 3)),
        np.zeros((8, 8, 5), np.uint8),
        np.zeros((2, 8, 8, 3), np.uint8),
        np.zeros((0, 0, 3), np.uint8),
        torch.zeros(2, 3, 8, 8),
        torch.zeros(4, 8, 8),
        torch.zeros(3, 8, 8, dtype=torch.int64),
        torch.zeros(8, 8),
    ],
    ids=lambda value: f"{type(value).__name__}{getattr(value, 'shape', '')}",
)
def test_what_is_no_picture_is_one_sentence(value):
    refused(value)
    refused(value, reader=pictures.read_mask)


def test_a_text_file_is_no_picture(tmp_path):
    (tmp_path / "x.png").write_text("hello")
    refused(tmp_path / "x.png", r"^photo: expected a readable picture file, got 'x\.png'$")


@pytest.mark.parametrize("mode", ["LAB", "La", "RGBa"])
def test_modes_that_pil_cannot_convert_are_named(mode):
    try:
        assert pictures.read(Image.new(mode, (8, 8)), "photo").mode == "RGB"
    except ValueError as error:
        assert str(error).startswith("photo: expected ")


def test_mask_by_lightness_or_alpha():
    levels = np.array([[0, 127, 128, 255]] * 4, np.uint8)
    expected = levels >= 128
    colours = np.repeat(levels[..., None], 3, 2)
    white = np.dstack([np.full_like(colours, 255), levels])
    opaque = np.dstack([colours, np.full_like(levels, 255)])
    bits = Image.fromarray(levels >= 128)
    black = np.dstack([np.zeros_like(colours), levels])
    for value in (levels, colours, white, black, opaque, bits, levels.astype(np.uint16) * 257):
        mask = pictures.read_mask(value)
        assert mask.mode == "1"
        np.testing.assert_array_equal(array(mask), expected)


def test_mask_at_another_size_covers_all_it_touches():
    image = Image.new("1", (64, 32))
    image.putpixel((16 + 9, 21), 1)
    mask = pictures.to_mask(image, 8)
    assert mask.shape == (1, 1, 8, 8)
    assert mask.nonzero().tolist() == [[0, 0, 5, 2]]
    assert set(pictures.to_mask(draw_mask(64, 64), 100).unique().tolist()) == {0, 1}


def test_to_tensor_takes_the_central_square(picture):
    exact = pictures.to_tensor(picture, 32)
    assert exact.shape == (1, 3, 32, 32) and exact.dtype == torch.float32
    np.testing.assert_array_equal((exact[0] * 255).round().byte().permute(1, 2, 0), array(picture))
    wide = Image.new("RGB", (64, 32), "red")
    wide.paste(picture, (16, 0))
    assert torch.equal(pictures.to_tensor(wide, 32), exact)


def test_shrinking_averages_and_enlarging_keeps_the_range(picture):
    small = pictures.to_tensor(picture, 8)
    blocks = torch.nn.functional.avg_pool2d(pictures.to_tensor(picture, 32), 4)
    torch.testing.assert_close(small, blocks, atol=1.01 / 255, rtol=0)  # rounded along rows, then columns
    large = pictures.to_tensor(picture, 80)
    assert large.shape == (1, 3, 80, 80) and large.min() >= 0 and large.max() <= 1
    torch.testing.assert_close(large.mean(), pictures.to_tensor(picture, 32).mean(), atol=0.01, rtol=0)


def test_to_images_rounds_and_clamps():
    x = torch.tensor([-1, 0.1, 0.5, 2]).view(4, 1, 1, 1).expand(4, 3, 5, 6)
    images = pictures.to_images(x)
    assert [image.size for image in images] == [(6, 5)] * 4
    assert [image.getpixel((0, 0))[1] for image in images] == [0, 26, 128, 255]


def test_sheet_layout():
    x = torch.arange(5).view(5, 1, 1, 1).expand(5, 3, 4, 6) / 10
    page = pictures.sheet(x, columns=3, zoom=2, gap=3)
    assert page.size == (3 * 12 + 2 * 3, 2 * 8 + 3)
    levels = array(page)[..., 0]
    for index in range(5):
        top, left = index // 3 * 11, index % 3 * 15
        assert (levels[top : top + 8, left : left + 12] == round(index * 25.5)).all()
    assert (levels[8:11] == 255).all() and (levels[:, 12:15] == 255).all() and (levels[11:, 30:] == 255).all()
    np.testing.assert_array_equal(array(pictures.sheet(x[:1], zoom=1)), array(pictures.to_images(x[:1])[0]))
    assert pictures.sheet(x[:2], columns=9, gap=0).size == (12, 4)
