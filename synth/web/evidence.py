"""The last tab: what was found, with stored pictures of what was measured."""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

DOCS = Path(__file__).parents[2] / "docs"


@dataclass(frozen=True)
class Finding:
    """What was found, in a line; how to read the pictures, which lie in DOCS; and the command that measured it."""

    title: str
    words: str
    pictures: tuple[str, ...]
    command: str

    @property
    def files(self) -> list[Path]:
        """Those that are here."""
        return [DOCS / name for name in self.pictures if (DOCS / name).exists()]


FINDINGS = (
    Finding(
        "Robust training makes the pictures",
        "The same seeds, each with its own preset. Above: a robust classifier. Below: its twin, the same network and "
        "data, but never attacked while it learned. A public ImageNet classifier recognises 85% of 2,000 "
        "pictures by the first and 31% of 500 by the second.",
        ("imagenet20/generation.webp",),
        "training.evaluate NAME --measure samples --also JUDGE",
    ),
    Finding(
        "Pixel by pixel, enlarged pictures are nearer to the truth than bicubic ones",
        "Each line goes from no detail to all that the steps add; the circle is the default. Right of 0, the "
        "pixels are nearer to the truth than plain interpolation's; below 1, so is what a classifier from "
        "elsewhere sees.",
        ("evidence/restoration.png",),
        "training.evaluate NAME --measure restoration --judge JUDGE",
    ),
    Finding(
        "Tricks do not replace robustness at 64 pixels, and nearly do at 32",
        "Each network with the methods of feature visualisation, from the same seeds, none chosen. In the bars, a "
        "low FID is good (more like real pictures), and so is a high share that a small classifier sees as the "
        "class asked for. That share does not tell the two networks apart.",
        ("evidence/robust.webp", "evidence/robust-figures.png"),
        "bench.evidence robust",
    ),
    Finding(
        "The start decides how real a picture looks, the steps what it shows",
        "Seeds of several kinds, and below each what the same steps turn them into. In the bars, a low FID is good.",
        ("evidence/starts.webp", "evidence/starts-figures.png"),
        "bench.evidence starts",
    ),
    Finding(
        "A tenth of the published steps is enough",
        "What counts is how far the steps go in all, not how many they are. A low FID is good.",
        ("evidence/steps.png", "evidence/grid.png"),
        "bench.evidence steps",
    ),
    Finding(
        "Among other priors: ahead in enlarging and filling, behind in deblurring",
        "The same measurements for all methods, at 32 pixels; the classifier is blue, and it alone was told the "
        "class. Right is nearer to the truth in pixels, low is nearer for a classifier from elsewhere.",
        ("evidence/inverse.png",),
        "bench.evidence inverse",
    ),
)


def add_evidence() -> None:
    """The tab, if there is anything to show; pictures are loaded when it is opened."""
    shown = [finding for finding in FINDINGS if finding.files]
    if not shown:
        return
    gr.set_static_paths([path for finding in shown for path in finding.files])
    with gr.Tab("Evidence", id="evidence"):
        gr.Markdown(
            "What was found with the bundled checkpoints. A click on a picture opens it large. Tables, counts and "
            "commands are in docs/evidence.md."
        )
        for finding in shown:
            gr.Markdown(f"### {finding.title}\n\n{finding.words} `python -m {finding.command}`")
            for path in finding.files:
                source, about = (html.escape(words) for words in (f"gradio_api/file={path}", finding.title))
                image = f'<img loading="lazy" style="max-width: 100%" alt="{about}" src="{source}">'
                gr.HTML(f'<a href="{source}" target="_blank" title="Open it large">{image}</a>')
