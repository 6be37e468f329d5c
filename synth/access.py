"""Who names the checkpoints: the owner of the machine, who may use all of it, or strangers on the internet."""

from __future__ import annotations

import os

VARIABLE = "SYNTH_PUBLIC"
"""An environment variable, so that every process that the app starts has the same mode: "1" for public."""
LOCAL = "Local mode: any folder of this machine and any repository of the Hub can be named (--public for strangers)."
PUBLIC = (
    "Public mode: checkpoints are the bundled and the listed ones, and small ones of the Hub; "
    "each visitor has a share (--no-public for yourself alone)."
)


def is_public() -> bool:
    return os.environ.get(VARIABLE) == "1"


def choose(public: bool | None) -> str:
    """Set the mode, by default public on a Space; returns a sentence that says which it is."""
    if public is None:
        public = bool(os.environ.get("SPACE_ID"))
    os.environ[VARIABLE] = str(int(public))
    return PUBLIC if public else LOCAL
