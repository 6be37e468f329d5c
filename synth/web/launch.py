"""The app as a command: its options, and the page on a port. Gradio is imported when it starts."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable

from PIL import Image

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on (default: GRADIO_SERVER_NAME, or this machine only)")
    parser.add_argument("--port", type=int, help="port to listen on (default: GRADIO_SERVER_PORT, or from 7860 on)")
    text = "serve strangers: no folders, small checkpoints, a share for each (default: on a Space)"
    parser.add_argument("--public", action=argparse.BooleanOptionalAction, default=None, help=text)
    parser.add_argument("--mcp", action="store_true", help="also serve MCP tools (pip install 'gradio[mcp]')")


def launch(options: argparse.Namespace, dataset_picture: Callable[[int], Image.Image] | None = None) -> int:
    """Serve the page until it is interrupted; ``dataset_picture`` as for ``page.build``. The exit status."""
    from synth.web.memory import share_heaps

    share_heaps()
    from synth import access

    print(access.choose(options.public), flush=True)
    from synth.web.gate import guards
    from synth.web.page import LAUNCH, build

    page = build(dataset_picture)
    page.launch(server_name=options.host, server_port=options.port, mcp_server=options.mcp or None, **LAUNCH | guards())
    return 0
