"""What the events of the page and the endpoints share."""

from __future__ import annotations

from contextlib import contextmanager

import gradio as gr
import torch

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
"""For events of the page that are no endpoints."""
QUEUE = {"concurrency_id": "model", "concurrency_limit": 32}
"""Runs wait in ``line.LINE``, which tells people their place; gradio's own limit is there for the rest."""

NO_MEMORY = "count: expected a run that fits into memory, got a larger one; choose fewer or smaller pictures"


@contextmanager
def show_errors():
    """Show a ValueError with the sentence that Python and the command line give."""
    try:
        yield
    except gr.Error:  # it is a ValueError, too
        raise
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from None
    except (MemoryError, RuntimeError) as error:
        if not _is_of_memory(error):
            raise
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise gr.Error(NO_MEMORY, print_exception=False) from None


def _is_of_memory(error: Exception) -> bool:
    """Whether memory ran out; PyTorch has a type of its own for a GPU's alone."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)
