"""The status of a tab: words, and a bar while a run goes on."""

from __future__ import annotations

import html

from synth.web.running import Progress, Waiting, describe

READY = "Press Run."


def show(words: str) -> str:
    """The status as HTML; page.js makes its place one that screen readers announce."""
    return f"<p>{html.escape(words)}</p>"


def show_progress(progress: Waiting | Progress, words: str = "") -> str:
    """A bar and words; ``words`` in place of the usual ones. Readers are spared what changes many times a second."""
    words = html.escape(words or describe(progress))
    done, steps = (0, 1) if isinstance(progress, Waiting) else (progress.frame.step, progress.frame.steps)
    return f'<progress aria-label="Progress" max="{steps}" value="{done}"></progress><p aria-hidden="true">{words}</p>'
