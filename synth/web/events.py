"""What the events of the page and the endpoints share."""

from __future__ import annotations

from contextlib import contextmanager

import gradio as gr

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
"""For events of the page that are no endpoints."""
QUEUE = {"concurrency_id": "model", "concurrency_limit": 32}
"""Runs wait in ``line.LINE``, which tells people their place; gradio's own limit is there for the rest."""


@contextmanager
def show_errors():
    """Show a ValueError with the sentence that Python and the command line give."""
    try:
        yield
    except gr.Error:  # it is a ValueError, too
        raise
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None
