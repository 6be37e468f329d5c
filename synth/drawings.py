"""Flat colour drawings to start from, drawn by code."""

from __future__ import annotations

import math
import random

from PIL import Image, ImageDraw

SIDE = 256
SMOOTH = 4
"""Drawn this much larger and shrunk, so that edges are smooth."""

SKY, SEA, GRASS, ROAD = "#9fd0f0", "#2f6fa8", "#6aa84f", "#8a8d91"
HORIZON = 160


def sketches(classes: list[str]) -> dict[str, Image.Image]:
    """Drawings of 256x256 pixels by the class that they show: those of ``classes``, or a few if there are none."""
    known = [name for name in _DRAWINGS if name in classes] or list(_DRAWINGS)[:6]
    return {name: _drawn(_DRAWINGS[name]) for name in known}


def styles() -> dict[str, Image.Image]:
    """Patterns of 256x256 pixels to draw in the manner of."""
    return {name: _drawn(pattern) for name, pattern in _STYLES.items()}


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


def _goldfish(pen: _Pen) -> None:
    pen.ground("#1f5f8a", 0)
    pen.ground("#174a6d", 200)
    pen.shape([(176, 128), (240, 74), (226, 128), (242, 186)], "#f08a24")
    pen.shape([(96, 92), (130, 48), (160, 96)], "#f08a24")
    pen.shape([(104, 162), (120, 198), (146, 160)], "#f08a24")
    pen.oval((28, 84, 192, 172), "#f26b1d")
    pen.oval((44, 124, 150, 170), "#f7a24a")
    pen.oval((52, 108, 74, 130), "#ffffff")
    pen.oval((58, 113, 70, 125), "#151515")


def _monarch(pen: _Pen) -> None:
    pen.ground(GRASS, 0)
    for side in (-1, 1):
        upper = [(128, 116), (128 + side * 40, 44), (128 + side * 104, 36), (128 + side * 108, 92), (128, 142)]
        lower = [(128, 134), (128 + side * 86, 126), (128 + side * 84, 196), (128 + side * 34, 214)]
        for wing, (x, y) in ((upper, (128 + side * 62, 84)), (lower, (128 + side * 48, 164))):
            pen.shape(wing, "#171310")
            pen.shape([(x + 0.78 * (px - x), y + 0.78 * (py - y)) for px, py in wing], "#ea7a17")
        pen.line([(128, 128), (128 + side * 92, 62)], "#171310", 4)
        pen.line([(128, 138), (128 + side * 72, 176)], "#171310", 4)
    pen.oval((119, 76, 137, 206), "#171310")


def _ladybug(pen: _Pen) -> None:
    pen.ground("#5b9a3f", 0)
    pen.line([(0, 210), (256, 60)], "#7dbb58", 46)
    for y in (104, 136, 168):
        pen.line([(52, y + 14), (204, y - 10)], "#151515", 6)
    pen.oval((96, 36, 160, 92), "#151515")
    pen.oval((62, 60, 194, 206), "#d32219")
    pen.line([(128, 62), (128, 206)], "#151515", 5)
    for x, y in ((98, 100), (158, 100), (88, 146), (168, 146), (110, 182), (146, 182)):
        pen.oval((x - 12, y - 12, x + 12, y + 12), "#151515")


def _orange(pen: _Pen) -> None:
    pen.ground("#e9e2d2", 0)
    pen.ground("#b98d5c", 176)
    pen.oval((52, 186, 216, 226), "#8a653d")
    pen.oval((46, 48, 210, 210), "#f08c1a")
    pen.oval((78, 66, 140, 118), "#f8ab4b")
    pen.shape([(128, 52), (150, 22), (196, 26), (164, 54)], "#3f7f2c")


def _banana(pen: _Pen) -> None:
    pen.ground("#f0ede4", 0)
    for shift, colour in ((26, "#d9ad1c"), (0, "#f3cf36")):
        arc = [(44, 60), (58, 128), (104, 182), (172, 204), (226, 190), (216, 168), (170, 164), (122, 136), (90, 96)]
        pen.shape([(x + shift, y - shift) for x, y in [*arc, (78, 52)]], colour)
    pen.shape([(44, 60), (78, 52), (70, 30), (54, 34)], "#6b5a23")


def _school_bus(pen: _Pen) -> None:
    pen.ground(ROAD, 178)
    pen.box((18, 62, 208, 180), "#f2b21b")
    pen.box((206, 118, 246, 180), "#f2b21b")
    pen.box((18, 132, 246, 138), "#1c1c1c")
    pen.box((18, 156, 246, 161), "#1c1c1c")
    for left in range(30, 196, 34):
        pen.box((left, 80, left + 24, 114), "#39505f")
    for left in (40, 178):
        pen.oval((left, 152, left + 48, 200), "#171717")
        pen.oval((left + 15, 167, left + 33, 185), "#b9b9b9")


def _alp(pen: _Pen) -> None:
    pen.ground("#4f7a3c", 196)
    pen.shape([(-40, 210), (62, 84), (150, 210)], "#6c7683")
    pen.shape([(60, 214), (164, 34), (300, 214)], "#59636f")
    pen.shape([(164, 34), (128, 96), (150, 90), (162, 108), (182, 92), (206, 100)], "#f5f8fb")
    pen.shape([(62, 84), (38, 114), (58, 110), (72, 118), (86, 118)], "#f5f8fb")
    pen.shape([(0, 206), (90, 190), (180, 204), (256, 188), (256, 256), (0, 256)], "#3f6a30")


def _penguin(pen: _Pen) -> None:
    pen.ground("#e6eef3", 150)
    pen.oval((80, 214, 128, 236), "#3a3a3a")
    pen.oval((126, 214, 174, 236), "#3a3a3a")
    pen.oval((74, 66, 182, 228), "#22262b")
    pen.oval((92, 92, 164, 224), "#f7f6f0")
    pen.oval((96, 20, 160, 92), "#22262b")
    pen.oval((104, 62, 128, 92), "#f0a51e")
    pen.shape([(98, 44), (56, 56), (98, 60)], "#d97a1a")
    pen.oval((108, 40, 118, 50), "#f7f6f0")
    pen.shape([(170, 100), (200, 176), (176, 184)], "#22262b")


def _waves(pen: _Pen) -> None:
    pen.ground("#f1e6c8", 0)
    for row, colour in enumerate(("#1d3f72", "#2f6fa8", "#9fc4dc", "#f4efe0", "#23508c") * 4):
        crest = [(x, 16 * row + 9 * math.sin(x / 13 + 1.9 * row)) for x in range(-16, 273, 4)]
        pen.line(crest, colour, 9)


def _mosaic(pen: _Pen) -> None:
    chance = random.Random(3)
    pen.ground("#3b332b", 0)
    for x in range(-8, 264, 22):
        for y in range(-8, 264, 22):
            colour = chance.choice(["#c0392b", "#e6a321", "#2f6fa8", "#f4e3c0", "#3f7f6c", "#7b3f61"])
            corners = [(x, y), (x + 18, y), (x + 18, y + 18), (x, y + 18)]
            pen.shape([(px + chance.uniform(-4, 4), py + chance.uniform(-4, 4)) for px, py in corners], colour)


def _strokes(pen: _Pen) -> None:
    chance = random.Random(5)
    pen.ground("#27408b", 0)
    for _ in range(900):
        x, y = chance.uniform(-10, 266), chance.uniform(-10, 266)
        turn = 2.2 * math.sin(x / 60) + 1.6 * math.cos(y / 45)
        colour = chance.choice(["#f2c14e", "#f7e7a9", "#5b8ed6", "#1f2f66", "#3f6fc4", "#9fc3ee"])
        pen.line([(x, y), (x + 17 * math.cos(turn), y + 17 * math.sin(turn))], colour, 5)


def _dots(pen: _Pen) -> None:
    pen.ground("#f7f0dc", 0)
    for row, y in enumerate(range(0, 272, 14)):
        for x in range(-7 + 7 * (row % 2), 272, 14):
            pen.oval((x - 5, y - 5, x + 5, y + 5), ("#d6336c", "#1c7ed6", "#f08c00")[(x // 14 + row) % 3])


def _etching(pen: _Pen) -> None:
    pen.ground("#efe9dc", 0)
    for shift in range(-260, 270, 11):
        pen.line([(shift, 0), (shift + 256, 256)], "#2a2320", 2)
        if shift % 2:
            pen.line([(shift + 256, 0), (shift, 256)], "#4a3c34", 2)


_STYLES = {"strokes": _strokes, "waves": _waves, "mosaic": _mosaic, "dots": _dots, "etching": _etching}

_DRAWINGS = {
    "ship": _ship,
    "horse": _horse,
    "automobile": _automobile,
    "bird": _bird,
    "airplane": _airplane,
    "frog": _frog,
    "goldfish": _goldfish,
    "monarch": _monarch,
    "ladybug": _ladybug,
    "orange": _orange,
    "banana": _banana,
    "school bus": _school_bus,
    "alp": _alp,
    "king penguin": _penguin,
    "sports car": _automobile,
    "bullfrog": _frog,
}
