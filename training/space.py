"""What a Space that runs the app holds: the app, its requirements, and a README that says on which hardware."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import SpaceHardware

ROOT = Path(__file__).resolve().parent.parent
THUMBNAIL = "docs/tasks.webp"
FILES = (
    "app.py",
    "synth/**/*.py",
    "synth/examples/*.png",
    "synth/examples/*.webp",
    "synth/examples/LICENSE-*.txt",
    "synth/web/page.*",
    "synth/web/stored/*",
    "docs/evidence/*.png",
    "docs/evidence/*.webp",
    "docs/imagenet20/generation.webp",
    THUMBNAIL,
)
"""What the app needs; the checkpoints come from the Hub."""
TAGS = ("adversarial-robustness", "image-generation", "image-synthesis", "image-editing")
HARDWARE = [hardware.value for hardware in SpaceHardware]
ZERO = SpaceHardware.ZERO_A10G.value
"""A GPU for the time of a call."""
ZERO_PACKAGE = "spaces==0.51.3"


def check_hardware(hardware: str) -> None:
    """ValueError unless the Hub knows hardware of that name."""
    if hardware not in HARDWARE:
        raise ValueError(f"hardware: expected one of {', '.join(HARDWARE)}, got {hardware!r}")


def files(space: str, checkpoint: str, hardware: str, *, folder: Path, endpoint: str) -> dict[str, Path]:
    """The files of the Space ``space`` that preloads ``checkpoint`` (both owner/name), by path.

    Those made for it are written into ``folder``. endpoint: the address of the Hub. ValueError for unknown hardware.
    """
    check_hardware(hardware)
    address = f"{endpoint}/spaces/{space}/resolve/main/{THUMBNAIL}"
    (folder / "README.md").write_text(readme(checkpoint, hardware, thumbnail=address))
    (folder / "requirements.txt").write_text(requirements(hardware))
    (folder / "hub.txt").write_text(checkpoint + "\n")
    paths = {path.relative_to(ROOT).as_posix(): path for pattern in FILES for path in sorted(ROOT.glob(pattern))}
    made = {"README.md": "README.md", "requirements.txt": "requirements.txt", "checkpoints/hub.txt": "hub.txt"}
    return paths | {path: folder / name for path, name in made.items()}


def readme(checkpoint: str, hardware: str, *, thumbnail: str) -> str:
    """The project's front matter with what concerns this Space, and the first words of its README."""
    text = (ROOT / "README.md").read_text()
    front, rest = re.match(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL).groups()
    more = [f"thumbnail: {thumbnail}", f"suggested_hardware: {hardware}"]
    lists = {"tags": TAGS, "models": [checkpoint], "preload_from_hub": [checkpoint]}
    for name, values in lists.items():
        more += [f"{name}:", *(f"- {value}" for value in values)]
    return "\n".join(["---", front, *more, "---", "", rest.split("\n![", 1)[0].strip(), ""])


def requirements(hardware: str) -> str:
    """The first section of requirements.txt, which the app needs, and ZeroGPU's package there."""
    first = re.split(r"\n(?=#)", (ROOT / "requirements.txt").read_text())[0].strip()
    return "\n".join([first, *([ZERO_PACKAGE] if hardware == ZERO else []), ""])
