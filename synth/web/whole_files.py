"""Pictures that gradio keeps for visits are written whole.

gradio writes a picture in place each time it is shown, under a name that comes from its content. A visit that reads it
just then, such as another's of the same examples, would get half of it.
"""

from __future__ import annotations

import os
import tempfile
from functools import wraps
from pathlib import Path

from gradio import processing_utils

_in_place = processing_utils.save_pil_to_cache


@wraps(_in_place)
def save_pil_to_cache(img, cache_dir: str, name: str = "image", format: str = "webp") -> str:
    folder = Path(cache_dir).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as staged:
        written = Path(_in_place(img, staged, name, format))
        target = folder / written.parent.name / written.name
        target.parent.mkdir(exist_ok=True)
        os.replace(written, target)
    return str(target)


processing_utils.save_pil_to_cache = save_pil_to_cache
