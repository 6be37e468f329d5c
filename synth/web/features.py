"""Choosing a feature to paint by looking."""

from __future__ import annotations

import gradio as gr

from synth import hub
from synth.features import FeatureGallery
from synth.web.editor import PRIVATE
from synth.web.running import load, one_sentence

HEIGHT = 330


def gallery(checkpoint: gr.Dropdown, unit: gr.Slider) -> None:
    """Pictures of the checkpoint's units, searchable; a click sets ``unit``."""
    with gr.Accordion("Choose a feature by looking", elem_classes="features") as part:
        words = "A class, or a number. Each picture drives one feature up; below it, the classes that it speaks for."
        search = gr.Textbox(label="Find", info=words, placeholder="lion")
        look = {
            "format": "png",
            "columns": 6,
            "height": HEIGHT,
            "allow_preview": False,
            "elem_classes": "picture",
        }
        shown = gr.Gallery(items(checkpoint.value), show_label=False, object_fit="contain", **look)

    def found(name: str, text: str):
        with one_sentence():
            return items(name, text)

    def renewed(name: str):
        with one_sentence():
            return gr.Accordion(visible=bool(features_of(name))), "", items(name)

    search.change(found, [checkpoint, search], shown, trigger_mode="always_last", **PRIVATE)
    checkpoint.change(renewed, checkpoint, [part, search, shown], **PRIVATE)
    shown.select(chosen, shown, unit, **PRIVATE)


def features_of(checkpoint: str) -> FeatureGallery:
    load(checkpoint)  # a checkpoint of the Hub is here only then
    return FeatureGallery.load(hub.folder(checkpoint))


def items(checkpoint: str, text: str = "") -> list[tuple]:
    """What the gallery shows for a search."""
    return [(unit.picture.resize((96, 96), 0), unit.caption) for unit in features_of(checkpoint).search(text)]


def chosen(items: list, at: gr.SelectData) -> int:
    """The number of the unit that was clicked."""
    return int(items[at.index][1].split(":")[0])
