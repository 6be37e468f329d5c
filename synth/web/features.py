"""Choosing a feature to paint by its picture."""

from __future__ import annotations

import gradio as gr

from synth.checkpoint import load_features
from synth.features import Feature
from synth.web.checkpoints import load
from synth.web.events import PRIVATE, show_errors

HEIGHT = 330


def add_feature_gallery(checkpoint: gr.Dropdown, feature: gr.Slider) -> None:
    """Pictures of the checkpoint's features, searchable; a click sets ``feature``."""
    with gr.Accordion("Choose a feature by its picture", elem_classes="features") as accordion:
        words = "Type a class or a number. Each picture shows one feature, with the classes that it raises most."
        search = gr.Textbox(label="Find", info=words, placeholder="lion")
        features = search_features(checkpoint.value)
        look = {"format": "png", "columns": 6, "height": HEIGHT, "allow_preview": False, "elem_classes": "picture"}
        gallery = gr.Gallery(items(features), show_label=False, object_fit="contain", **look)
        indices = gr.State([feature.index for feature in features])

    def find(name: str, text: str):
        with show_errors():
            features = search_features(name, text)
        return items(features), [feature.index for feature in features]

    def renew(name: str):
        items, indices = find(name, "")
        return gr.Accordion(visible=bool(items)), "", items, indices

    search.change(find, [checkpoint, search], [gallery, indices], trigger_mode="always_last", **PRIVATE)
    checkpoint.change(renew, checkpoint, [accordion, search, gallery, indices], **PRIVATE)
    gallery.select(choose_feature, indices, feature, **PRIVATE)


def search_features(checkpoint: str, text: str = "") -> list[Feature]:
    """The checkpoint's features that fit ``text``."""
    folder = load(checkpoint).folder
    return [] if folder is None else load_features(folder).search(text)


def items(features: list[Feature]) -> list[tuple]:
    """The pictures and captions of a gallery of features."""
    return [(feature.picture.resize((96, 96), 0), feature.caption) for feature in features]


def choose_feature(indices: list[int], at: gr.SelectData) -> int:
    """The index of the feature that was clicked."""
    return indices[at.index]
