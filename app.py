"""The browser app: ``python app.py --port 7860``. What is on the page is in ``synth/web``."""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable
from functools import lru_cache, partial

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from PIL import Image

from synth.pictures import to_images
from synth.web.page import LAUNCH, build


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, or this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT, or from 7860 on)")
    parser.add_argument("--data", help="data set whose test pictures can be picked: a folder, or its name on the Hub")
    parser.add_argument("--mcp", action="store_true", help="also serve MCP tools (pip install 'gradio[mcp]')")
    options = parser.parse_args()
    sample = sampler(options.data) if options.data else None
    build(sample).launch(server_name=options.host, server_port=options.port, mcp_server=options.mcp or None, **LAUNCH)


def sampler(data: str) -> Callable[[int], Image.Image]:
    """A function that returns a random test picture of a data set, at a side in pixels."""
    from training.data import load

    test = lru_cache(maxsize=1)(partial(load, data, "test"))

    def sample(size: int) -> Image.Image:
        dataset = test(size)
        return to_images(dataset[[random.randrange(len(dataset))]][0])[0]

    return sample


if __name__ == "__main__":
    main()
