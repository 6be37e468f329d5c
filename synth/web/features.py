"""Choosing a feature to paint by its picture."""

from __future__ import annotations

import base64
import html
import io
from functools import lru_cache
from pathlib import Path

import gradio as gr
from PIL import Image

from synth import Classifier
from synth.checkpoint import load_features
from synth.features import Feature, FeatureGallery
from synth.web.checkpoints import load
from synth.web.events import PRIVATE, escape, show_errors
from synth.web.views import shared_file

HEIGHT = 330


class FeatureMenu:
    """Pictures of the checkpoint's features, searchable; a click sets ``feature``. ``chosen`` shows the one that is."""

    def __init__(self, checkpoint: gr.Dropdown, feature: gr.Slider, chosen: gr.HTML, model: Classifier):
        features = find_features(model, "")
        title, shown = "Choose a feature by its picture", bool(features)
        with gr.Accordion(title, visible=shown, elem_classes="features") as self.accordion:
            words = (
                "Type a class, a kind of thing or a number. Each picture shows one feature, with the classes that it "
            )
            search = gr.Textbox(label="Find", info=words + "raises most.", placeholder=model.classes[0])
            nothing = gr.Markdown(visible=False, elem_classes="nothing")
            look = {"format": "png", "columns": 6, "height": HEIGHT, "allow_preview": False, "interactive": False}
            look |= {"show_label": False, "object_fit": "contain", "buttons": [], "elem_classes": "picture"}
            gallery = gr.Gallery(items(model, features), **look)
            indices = gr.State([feature.index for feature in features])
        self.outputs = [chosen, self.accordion, search, nothing, gallery, indices]

        def find(checkpoint: str, text: str):
            with show_errors():
                return found(load(checkpoint), text)

        search.change(find, [checkpoint, search], self.outputs[3:], trigger_mode="always_last", **PRIVATE)
        gallery.select(choose_feature, indices, feature, **PRIVATE)

        def show(checkpoint: str, index: float):
            with show_errors():
                return shown_feature(load(checkpoint), int(index or 0))

        feature.change(show, [checkpoint, feature], chosen, trigger_mode="always_last", **PRIVATE)

    def renew(self, model: Classifier, index: int) -> dict:
        """Updates for a checkpoint, of which the feature ``index`` is chosen."""
        nothing, shown, indices = found(model, "")
        search = gr.Textbox("", placeholder=model.classes[0])
        updates = [shown_feature(model, index), gr.Accordion(visible=bool(indices)), search, nothing, shown, indices]
        return dict(zip(self.outputs, updates, strict=True))


def find_features(model: Classifier, text: str) -> list[Feature]:
    """The checkpoint's features that fit ``text``."""
    return [] if model.folder is None else known(model.folder).search(text, model.group)


def feature_of(model: Classifier, index: int) -> Feature | None:
    """The feature ``index`` of the checkpoint's gallery, if it is there."""
    features = [] if model.folder is None else known(model.folder)
    return next((feature for feature in features if feature.index == index), None)


def described(model: Classifier, index: int) -> str:
    """What the feature ``index`` is for, by the classes that it counts towards, or its number."""
    feature = feature_of(model, index)
    classes = list(feature.classes)[:2] if feature is not None else []
    return f"what it looks for in {' and '.join(classes)}" if classes else f"feature {index}"


def shown_feature(model: Classifier, index: int) -> str:
    """The same as HTML, with the feature's picture if the checkpoint has one."""
    words = f"<p>To paint: {html.escape(described(model, index))}. Choose another below.</p>"
    feature = feature_of(model, index)
    if feature is None:
        return words
    feature.picture.convert("RGB").save(file := io.BytesIO(), "WEBP")
    data = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/webp;base64,{data}" alt="Feature {index}">{words}'


def found(model: Classifier, text: str) -> tuple[gr.Markdown, list, list[int]]:
    """What to show of the features that fit ``text``: a sentence if there are none, pictures, and indices."""
    features = find_features(model, text)
    sentence = escape(f"No feature serves anything called {text.strip()[:40]!r}.")
    return gr.Markdown(sentence, visible=not features), items(model, features), [feature.index for feature in features]


def items(model: Classifier, features: list[Feature]) -> list[tuple]:
    """The pictures and captions of a gallery of features."""
    return [(thumbnail(model.folder, feature.index), feature.caption) for feature in features]


@lru_cache(maxsize=2048)
def thumbnail(folder: Path, index: int) -> str:
    """A small file of the picture of a feature of the checkpoint in ``folder``."""
    feature = next(feature for feature in known(folder) if feature.index == index)
    return shared_file(feature.picture.resize((96, 96), Image.Resampling.BICUBIC))


@lru_cache(maxsize=3)
def known(folder: Path) -> FeatureGallery:
    """The features of the checkpoint in ``folder``."""
    return load_features(folder)


def choose_feature(indices: list[int], at: gr.SelectData) -> int:
    """The index of the feature that was clicked."""
    return indices[at.index]
