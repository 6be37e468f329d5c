"""The last tab: stored pictures of what was measured."""

from __future__ import annotations

import html
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).parents[2] / "docs" / "evidence"
CAPTIONS = {
    "robust": "**Robust and standard classifiers.** The robust classifier, its standard twin, and the twin with the "
    "tricks of feature visualisation start from the same seeds and take the same number of gradient steps. "
    "`python -m bench.evidence robust`",
    "robust-figures": "",
    "starts": "**Kinds of starts.** The upper row of each pair shows seeds of one kind, and the lower row shows "
    "what the steps turn them into. `python -m bench.evidence starts`",
    "starts-figures": "",
    "steps": "**Number of steps.** The plot shows the quality, as an independent classifier judges it, after each "
    "number of gradient steps. "
    "`python -m bench.evidence steps`",
    "grid": "**Epsilon, step size and steps.** `python -m bench.evidence grid`",
    "inverse": "**Comparison with other priors.** All priors get the same measurements for super-resolution and "
    "inpainting. The classifier is blue. `python -m bench.evidence inverse`",
}
"""Captions above the pictures of FOLDER, in order; those that are not there are left out."""


def add_evidence() -> None:
    """The tab, if there is anything to show; pictures are loaded when it is opened."""
    names = [name for name in CAPTIONS if (FOLDER / f"{name}.png").exists()]
    if not names:
        return
    gr.set_static_paths([FOLDER])
    with gr.Tab("Evidence", id="evidence"):
        gr.Markdown("Measured with the bundled checkpoints; the tables, counts and commands are in docs/evidence.md.")
        for name in names:
            if CAPTIONS[name]:
                gr.Markdown(CAPTIONS[name])
            source = html.escape(f"gradio_api/file={FOLDER / name}.png")
            gr.HTML(f'<img loading="lazy" style="max-width: 100%" alt="{name}" src="{source}">')
