"""Flat colour drawings to start from, drawn by code, and which class each class turns into well."""

from __future__ import annotations

from PIL import Image, ImageDraw

SIDE = 256
SMOOTH = 4
"""Drawn this much larger and shrunk, so that edges are smooth."""

SKY, SEA, GRASS, ROAD = "#9fd0f0", "#2f6fa8", "#6aa84f", "#8a8d91"
HORIZON = 160

RELATED = {
    "airplane": "bird",
    "automobile": "truck",
    "bird": "airplane",
    "cat": "dog",
    "deer": "horse",
    "dog": "cat",
    "frog": "bird",
    "horse": "deer",
    "ship": "airplane",
    "truck": "automobile",
}
"""For each class of CIFAR-10 another of like shape, for a translation that works at once."""
FIRST = "horse"
"""The picture to show first where there is one: every task does well on it."""


def sketches() -> dict[str, Image.Image]:
    """Drawings of 256x256 pixels by the name of the class of CIFAR-10 that they show."""
    return {name: _drawn(draw) for name, draw in _DRAWINGS.items()}


def _drawn(draw) -> Image.Image:
    pen = _Pen()
    draw(pen)
    return pen.image.resize((SIDE, SIDE), Image.Resampling.BOX)


class _Pen:
    """PIL's shapes in coordinates of a page of 256x256."""

    def __init__(self):
        self.image = Image.new("RGB", (SIDE * SMOOTH, SIDE * SMOOTH), SKY)
        self._draw = ImageDraw.Draw(self.image)

    def ground(self, colour: str, top: int = HORIZON) -> None:
        self.box((0, top, SIDE, SIDE), colour)

    def box(self, corners, colour: str) -> None:
        self._draw.rectangle([SMOOTH * value for value in corners], fill=colour)

    def oval(self, corners, colour: str) -> None:
        self._draw.ellipse([SMOOTH * value for value in corners], fill=colour)

    def shape(self, points, colour: str) -> None:
        self._draw.polygon([(SMOOTH * x, SMOOTH * y) for x, y in points], fill=colour)

    def line(self, points, colour: str, width: int) -> None:
        self._draw.line([(SMOOTH * x, SMOOTH * y) for x, y in points], fill=colour, width=SMOOTH * width, joint="curve")


def _ship(pen: _Pen) -> None:
    pen.ground(SEA, 165)
    pen.shape([(24, 140), (236, 132), (206, 190), (52, 190)], "#8c2f2b")
    pen.shape([(24, 140), (236, 132), (230, 146), (30, 152)], "#f2f2f2")
    pen.box((76, 104, 186, 139), "#f5f5f0")
    pen.box((100, 78, 160, 104), "#e4e4de")
    pen.box((118, 44, 144, 78), "#c0392b")
    pen.box((118, 44, 144, 54), "#2b2b2b")
    for left in range(86, 180, 22):
        pen.box((left, 114, left + 10, 126), "#3a5a78")


def _automobile(pen: _Pen) -> None:
    pen.ground(ROAD)
    pen.shape([(72, 118), (98, 74), (172, 74), (204, 118)], "#a81f1f")
    pen.shape([(86, 116), (104, 84), (132, 84), (132, 116)], "#bfe0f2")
    pen.shape([(140, 116), (140, 84), (166, 84), (188, 116)], "#bfe0f2")
    pen.shape([(22, 128), (40, 116), (222, 116), (238, 132), (238, 172), (20, 172)], "#cc2727")
    pen.box((222, 130, 238, 142), "#ffe9a8")
    for left in (46, 164):
        pen.oval((left, 146, left + 50, 196), "#202020")
        pen.oval((left + 15, 161, left + 35, 181), "#c8c8c8")


def _airplane(pen: _Pen) -> None:
    pen.oval((-30, 190, 110, 250), "#e6f3fb")
    pen.oval((140, 206, 290, 262), "#e6f3fb")
    pen.shape([(30, 66), (56, 66), (84, 112), (48, 116)], "#8795a3")
    pen.shape([(122, 104), (150, 104), (140, 54), (124, 54)], "#aab6c2")
    pen.oval((22, 96, 240, 144), "#f4f6f8")
    pen.shape([(100, 126), (156, 126), (104, 206), (82, 206)], "#8795a3")
    pen.oval((206, 106, 228, 118), "#34495e")
    for left in range(80, 190, 18):
        pen.oval((left, 108, left + 8, 116), "#34495e")


def _bird(pen: _Pen) -> None:
    pen.ground(GRASS, 196)
    pen.line([(0, 206), (256, 190)], "#6b4a2f", 14)
    pen.line([(120, 170), (118, 198)], "#4a3524", 5)
    pen.line([(144, 170), (146, 196)], "#4a3524", 5)
    pen.shape([(92, 132), (22, 168), (34, 186), (112, 160)], "#5c4632")
    pen.oval((68, 90, 186, 178), "#8a6a48")
    pen.oval((104, 118, 184, 178), "#e8cfa6")
    pen.oval((140, 52, 206, 116), "#8a6a48")
    pen.shape([(200, 78), (236, 88), (200, 96)], "#e6a321")
    pen.oval((178, 72, 190, 84), "#151515")
    pen.shape([(78, 110), (146, 112), (120, 158), (66, 148)], "#5c4632")


def _horse(pen: _Pen) -> None:
    pen.ground(GRASS, 150)
    pen.line([(60, 100), (34, 130), (34, 172)], "#3a2415", 13)
    for left, width in ((66, 16), (88, 15), (150, 15), (170, 16)):
        pen.box((left, 136, left + width, 222), "#74421f")
        pen.box((left, 212, left + width, 224), "#241710")
    pen.oval((48, 84, 198, 160), "#8f5427")
    pen.shape([(150, 112), (182, 46), (212, 56), (198, 138)], "#8f5427")
    pen.shape([(180, 40), (210, 40), (244, 82), (232, 98), (196, 84)], "#8f5427")
    pen.shape([(182, 46), (186, 22), (200, 42)], "#8f5427")
    pen.line([(184, 42), (164, 76), (150, 104)], "#3a2415", 13)
    pen.oval((206, 54, 214, 62), "#151515")


def _frog(pen: _Pen) -> None:
    pen.image.paste("#4d7038", (0, 0, SIDE * SMOOTH, SIDE * SMOOTH))
    pen.ground("#7b6a48", 176)
    pen.oval((18, 126, 96, 218), "#5f9e2f")
    pen.oval((160, 126, 238, 218), "#5f9e2f")
    pen.oval((48, 84, 208, 216), "#7cc142")
    pen.oval((78, 146, 178, 218), "#d8e8a0")
    pen.oval((44, 48, 212, 146), "#7cc142")
    for left in (58, 150):
        pen.oval((left, 32, left + 48, 80), "#7cc142")
        pen.oval((left + 10, 40, left + 38, 68), "#f4e36a")
        pen.oval((left + 18, 46, left + 30, 64), "#151515")
    pen.line([(72, 118), (100, 130), (156, 130), (184, 118)], "#2f5b18", 5)
    pen.oval((66, 204, 118, 226), "#5f9e2f")
    pen.oval((138, 204, 190, 226), "#5f9e2f")


_DRAWINGS = {
    "ship": _ship,
    "horse": _horse,
    "automobile": _automobile,
    "bird": _bird,
    "airplane": _airplane,
    "frog": _frog,
}
