"""Pictures and settings of strangers: bombs of every format, slow files, text, and numbers that are none."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from synth import TASKS, pictures
from synth.record import Record
from tests.abuse import bombs
from tests.abuse.measure import attack, costing

MEMORY, SECONDS = 100, 5

PICTURES = {
    "PNG of 60,000 x 60,000": bombs.bomb(60_000, 60_000),
    "PNG of 2^31 x 2^31": bombs.bomb(2**31 - 1, 2**31 - 1),
    "PNG that is 4096 x 4096 by its header alone": bombs.bomb(4096, 4096),
    "GIF of 65,535 x 65,535": bombs.gif(65_535, 65_535),
    "GIF of 200,000 frames": bombs.gif(32, 32, 200_000),
    "TIFF of 10^9 x 10^9": bombs.tiff(10**9, 10**9),
    "TIFF of 20,000 pages": bombs.tiff(8, 8, 20_000),
    "TIFF whose data ends early": bombs.tiff(4000, 4000),
    "BMP of 2^31 x 2^31": bombs.bmp(2**31 - 1, 2**31 - 1),
    "WebP of 16,383 x 16,383": bombs.webp(16_383, 16_383),
    "WebP of 4000 x 4000 by its header alone": bombs.webp(4000, 4000),
    "JPEG of 65,500 x 65,500": bombs.jpeg(65_500, 65_500),
    "PPM of 10^9 x 10^9": b"P6 1000000000 1000000000 255\n" + bytes(100),
    "PNG with 100 MB of text in one chunk": bombs.bomb(32, 32, *bombs.texts(1, 100_000_000)),
    "PNG with 100 MB of text in 110 chunks": bombs.bomb(32, 32, *bombs.texts(110, 1_000_000)),
    "EPS, which would start a program": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\nshowpage\n",
    "SVG with a script": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "nothing": b"",
}


@attack("refused")
@pytest.mark.parametrize("case", PICTURES)
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_picture(case, tmp_path):
    """as picture:"""
    (tmp_path / "x.png").write_bytes(PICTURES[case])
    for read in (pictures.read, pictures.read_mask):
        with costing() as cost, pytest.raises(ValueError, match=r"^photo: expected [^\n]+$"):
            read(tmp_path / "x.png", "photo")
        assert cost.peak < MEMORY and cost.seconds < SECONDS


@attack("harmless")
def test_colour_profile(tmp_path):
    """as picture: PNG with a colour profile of 200 MB"""
    (tmp_path / "x.png").write_bytes(bombs.bomb(32, 32, bombs.profile(200_000_000)))
    with costing() as cost, pytest.raises(ValueError, match=r"^photo: expected"):
        pictures.read(tmp_path / "x.png", "photo")
    assert cost.peak < MEMORY


@attack("harmless")
def test_rotation(tmp_path):
    """a photo that lies on its side, and says so: it is turned"""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(8, 6)).save(tmp_path / "x.png", exif=exif)
    assert pictures.read(tmp_path / "x.png").size == (8, 6)


def with_settings(path, text: str) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("synth", text)
    Image.new("RGB", (32, 32)).save(path, pnginfo=info)


def record(**settings) -> str:
    return json.dumps({"task": "generation", "checkpoint": "tiny", "version": "1", "settings": settings})


def inside(content: bytes) -> str:
    """A picture within settings."""
    picture = {"png": base64.b64encode(content).decode()}
    return json.dumps({"task": "maximisation", "checkpoint": "tiny", "settings": {"picture": picture}})


SETTINGS = {
    "nested 100,000 deep": "[" * 100_000 + "]" * 100_000,
    "of 800,000 empty lists": '{"settings": [' + "[]," * 300_000 + "[]]}",
    "steps of NaN": record(steps=float("nan")),
    "epsilon of infinity": record(epsilon=float("inf")),
    "steps of 10^400": '{"task": "generation", "checkpoint": "tiny", "settings": {"steps": 1' + "0" * 400 + "}}",
    "a seed of a list": record(seed=[1]),
    "a count of true": record(count=True),
    "markup as class": record(class_name="<img src=x onerror=alert(1)>"),
    "a setting that does not exist": record(__class__="x"),
    "another task's name with dots": record().replace("generation", "../generation"),
    "a checkpoint that is a number": record().replace('"tiny"', "7"),
    "a file's name as picture": json.dumps(
        {"task": "maximisation", "checkpoint": "tiny", "settings": {"picture": "/etc/passwd"}}
    ),
    "a bomb as picture": inside(bombs.bomb(60_000, 60_000)),
    "a picture that is a TIFF": inside(bombs.tiff(8, 8)),
    "a picture that is no base64": record(png="?") + "",
    "nothing": "",
}


@attack("refused")
@pytest.mark.parametrize("case", SETTINGS)
def test_settings(case, model, tmp_path):
    """a PNG with settings inside:"""
    from synth.tasks import find_task

    with_settings(tmp_path / "x.png", SETTINGS[case])
    with costing() as cost, pytest.raises(ValueError, match=r"^[\w.]+: expected [^\n]+$"):
        record = Record.read(tmp_path / "x.png", "picture")
        record.restore(find_task(record.task), model)
    assert cost.peak < MEMORY and cost.seconds < SECONDS


@attack("refused")
@pytest.mark.parametrize("value", ["nan", "inf", "-1e999", "1" * 5000, "<b>1</b>", "__import__('os')"])
def test_links(value, model):
    """a link with steps of"""
    query = {"task": "generation", "checkpoint": "tiny", "steps": value}
    with pytest.raises(ValueError, match=r"^steps: expected [^\n]+$"):
        Record.from_query(query).restore(TASKS["generation"], model)
