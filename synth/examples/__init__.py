"""Pictures to begin with, files beside this one: flat drawings, patterns to take a style from, and photographs.

Drawings and patterns are made by the project. The cat is Chelsea of scikit-image, by Stefan van der Walt (CC0), and
the raccoon is that of scipy.datasets.face, from pixnio.com: both are in the public domain. The corgi, the wood
and the shepherd are parts of gallery/assets/dog1.jpg and dog2.jpg of torchvision, whose licence is
LICENSE-torchvision.txt (BSD); the sticker on one is ours. The retriever and its face are parts of a photograph by
Dirk Vorderstraße (CC BY 2.0), see LICENSE-retriever.txt. The raccoon's eyes are its face, enlarged and
slanted so that eyes and nose lie where the cat's do.
"""

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
PHOTOGRAPHS = {
    "corgi": ("Samoyed", "lion", "dog"),
    "retriever": ("English foxhound", "lion", "dog"),
    "retriever's face": ("beagle", "lion", "dog"),
    "shepherd": ("dingo", "lion", "dog"),
    "shepherd with a sticker": (),
    "wood": ("church",),
    "cat": ("lion", "dingo", "dog"),
    "cat's face": ("lion", "dingo", "dog"),
    "raccoon": ("lesser panda", "dingo", "cat"),
    "raccoon's face": ("lesser panda", "dingo", "cat"),
    "raccoon's eyes": (),
}
"""{photograph: classes to turn it into, of which a checkpoint has one or none}."""


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


def photograph_files() -> dict[str, Path]:
    """The files of the photographs by name."""
    stems = {name: name.replace(" ", "-").replace("'", "") for name in PHOTOGRAPHS}
    return {name: _path(f"photograph-{stem}", "webp") for name, stem in stems.items()}


def becoming(name: str, classes: list[str]) -> str | None:
    """Which of ``classes`` to turn the photograph called ``name`` into, if any; None for other pictures."""
    return next((one for one in PHOTOGRAPHS.get(name, ()) if one in classes), None)


def _path(name: str, kind: str = "png") -> Path:
    return Path(__file__).with_name(f"{name}.{kind}")


def _read(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")
