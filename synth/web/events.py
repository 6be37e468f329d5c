"""What the events of the page and the endpoints share."""

from __future__ import annotations

import html
import string
from contextlib import contextmanager

import gradio as gr
import torch

PRIVATE = {"api_visibility": "private", "show_progress": "hidden"}
"""For events of the page that are no endpoints."""
QUEUE = {"concurrency_id": "model", "concurrency_limit": 32}
"""Runs wait in ``line.LINE``, which tells people their place; gradio's own limit is there for the rest."""

NO_MEMORY = "count: expected a run that fits into memory, got a larger one; choose fewer or smaller pictures"


def mark_only(page: gr.Blocks, nothing: gr.State) -> None:
    """Let the page mark ``nothing`` as waiting, in place of what an event will change, of which it would show nothing.

    Gradio's page looks for all that was ever marked, one by one among all its parts, with every message of every run;
    after a change of the checkpoint these were 400, which took far longer than the run. ``nothing`` should be the
    page's first part, which is found at once.
    """
    for event in page.fns.values():
        event.show_progress_on = [nothing]


@contextmanager
def show_errors():
    """Show a ValueError on the page, with the sentence that Python and the command line give."""
    try:
        with sentences():
            yield
    except gr.Error as error:
        raise as_text(error) from None


def as_text(error: gr.Error) -> gr.Error:
    """The error as the page must get it, which takes messages for HTML: names and settings may be somebody else's."""
    return gr.Error(html.escape(error.message, quote=False), print_exception=False)


def escape(words: str) -> str:
    """``words`` as Markdown that shows them as they are: every mark by its number."""
    return "".join(f"&#{ord(letter)};" if letter in string.punctuation else letter for letter in words)


@contextmanager
def sentences():
    """A ValueError as a gr.Error with the same sentence, for callers of the API."""
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
