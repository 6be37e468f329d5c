"""Flat colour drawings to start from and patterns to take a style from, PNG files of 256x256 pixels beside this one."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

SKETCHES = {
    **{name: name for name in ("ship", "horse", "automobile", "bird", "airplane", "frog", "goldfish", "monarch")},
    **{name: name for name in ("ladybug", "orange", "banana", "school bus", "alp", "king penguin")},
    **{name: name for name in ("church", "golf ball", "parachute", "garbage truck")},
    "sports car": "automobile",
    "bullfrog": "frog",
}
"""{class: the drawing that shows it}."""
STYLES = ("strokes", "waves", "mosaic", "dots", "etching")


def sketches(classes: list[str]) -> dict[str, Image.Image]:
    """Drawings by the class that they show: those of ``classes``, or the first six if there are none of these."""
    return {name: _read(path) for name, path in sketch_files(classes).items()}


def sketch_files(classes: list[str]) -> dict[str, Path]:
    """The files of the same drawings."""
    names = [name for name in SKETCHES if name in classes] or list(SKETCHES)[:6]
    return {name: _path(f"sketch-{SKETCHES[name].replace(' ', '-')}") for name in names}


def styles() -> dict[str, Image.Image]:
    """Patterns by name."""
    return {name: _read(path) for name, path in style_files().items()}


def style_files() -> dict[str, Path]:
    """The files of the same patterns."""
    return {name: _path(f"style-{name}") for name in STYLES}


def _path(name: str) -> Path:
    return Path(__file__).with_name(f"{name}.png")


def _read(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")
