"""The tab of one task, read from its declaration: what goes in on the left, what comes out on the right."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import gradio as gr
from PIL import Image

from synth import Classifier, Task
from synth.parameters import ClassName, FeatureIndex, Mask, Picture
from synth.web.checkpoints import load
from synth.web.controls import controls_at, presets
from synth.web.editor import add_editor, enlarge, take_brush
from synth.web.events import PRIVATE, show_errors
from synth.web.examples import ExampleGallery, checksum, examples, is_unchanged, needs_class
from synth.web.features import add_feature_gallery
from synth.web.results import Results

NEW_SEED = "() => Math.floor(Math.random() * 2 ** 31)"


class Tab:
    """The components of a task: its controls and example galleries by parameter, its presets and results.

    dataset_picture: returns a picture of the data set, at a side in pixels, if there is a data set at hand.
    """

    def __init__(self, task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, dataset_picture: Callable | None):
        self.task, self.checkpoint, self.dataset_picture = task, checkpoint, dataset_picture
        self.controls: dict[str, gr.components.Component] = {}
        self.galleries: dict[str, ExampleGallery] = {}
        with gr.Tab(task.title, id=task.name) as tab:
            gr.Markdown(inspect.cleandoc(type(task).__doc__ or "").split("\n\n")[0])
            with gr.Row():
                with gr.Column(min_width=320):
                    self._add_inputs(load(checkpoint.value))
                with gr.Column(min_width=320):
                    self.results = Results(task, checkpoint, other, self.controls)
        if isinstance(self.controls.get("picture"), gr.ImageEditor):
            tab.select(None, None, None, js=take_brush(self.controls["picture"]), **PRIVATE)

    @property
    def class_menus(self) -> dict:
        """The controls of class names, by parameter."""
        return {n: self.controls[n] for n, kind in self.task.parameters.items() if type(kind) is ClassName}

    def _add_inputs(self, model: Classifier) -> None:
        """The left half: what to do, the preset, and the settings that it fills in."""
        kinds, names = self.task.parameters, list(self.task.parameters)
        first = names.index(self.task.first_setting)
        settings = [name for name in names[first:] if name != "seed"]
        chosen = {}
        if needs_class(self.task):
            chosen["class_name"] = self.task.target_class(model, next(iter(examples(self.task, model))))

        def add(*names: str, **values) -> None:
            controls = controls_at(self.task, names, model, **chosen, **values)
            self.controls.update(zip(names, controls, strict=True))

        for name in names[:first]:
            kind = kinds[name]
            if isinstance(kind, Mask):
                with gr.Accordion("Upload a mask instead of drawing it", open=False):
                    add(name)
            elif isinstance(kind, Picture):
                self._add_picture(name, kind, model, add)
            else:
                add(name)
                if isinstance(kind, FeatureIndex):
                    add_feature_gallery(self.checkpoint, self.controls[name])
        words = {"label": "Preset", "info": "A preset fills in the settings below."}
        self.preset = gr.Radio(presets(self.task, model), value="tuned", **words)
        add(*[name for name in settings if not kinds[name].more])
        if "seed" in kinds:
            with gr.Row(elem_classes="seed"):
                add("seed")
                new = gr.Button("New seed", scale=0, min_width=120)
                new.click(None, None, self.controls["seed"], js=NEW_SEED, **PRIVATE)
        folded = [name for name in settings if kinds[name].more]
        if folded:
            with gr.Accordion("More", open=False):
                add(*folded)

        def fill_in(checkpoint: str, preset: str):
            with show_errors():
                return controls_at(self.task, settings, load(checkpoint), preset)

        outputs = [self.controls[name] for name in settings]
        self.preset.input(fill_in, [self.checkpoint, self.preset], outputs, **PRIVATE)
        for gallery in self.galleries.values():
            gallery.connect(self.checkpoint, self.controls)

    def _add_picture(self, name: str, kind: Picture, model: Classifier, add: Callable) -> None:
        """A picture to upload or to draw on, with examples below."""
        image = next(iter(examples(self.task, model, name).values()))
        if name == "picture" and (self.task.drawn or "mask" in self.task.parameters):
            self.controls[name] = add_editor(self.task, image)
        else:
            add(name, **{name: image})
            self.controls[name].upload(crop_upload, self.controls[name], self.controls[name], **PRIVATE)
        self.galleries[name] = ExampleGallery(self.task, name, model)
        dataset_picture = self.dataset_picture
        if dataset_picture is not None and not self.task.drawn and kind.shelf != "styles":

            def fetch(checkpoint: str) -> Image.Image:
                return enlarge(dataset_picture(load(checkpoint).image_size))

            button = gr.Button("A picture from the data set", size="sm")
            button.click(fetch, self.checkpoint, self.controls[name], **PRIVATE)

    def renew(self, model: Classifier, values: dict) -> dict:
        """Updates for another checkpoint: presets, bounds, classes and examples; what the user chose stays if it can.

        A picture that is still an example becomes an example of the new checkpoint; a user's own stays. Pictures that
        are not among ``values``, by component, count as examples.
        """
        names = [name for name in self.controls if name not in (*self.galleries, "mask", "seed")]
        chosen = {name: values[menu] for name, menu in self.class_menus.items() if values[menu] in model.classes}
        updates = {self.preset: gr.Radio(presets(self.task, model), value="tuned")}
        for parameter, gallery in self.galleries.items():
            updates[gallery.gallery] = gallery.thumbnails(model)
            control = self.controls[parameter]
            if control not in values or is_unchanged(values[control], values[gallery.checksum]):
                name, image = next(iter(examples(self.task, model, parameter).items()))
                updates |= {control: image, gallery.checksum: checksum(image)}
                if gallery.brings_class:
                    chosen["class_name"] = self.task.target_class(model, name)
        return updates | self._controls_at(names, model, **chosen)

    def restore(self, model: Classifier, settings: dict) -> dict:
        """Updates for the ``settings`` of an earlier run; pictures that these lack stay as they are."""
        kinds = self.task.parameters
        names = [name for name in self.controls if not isinstance(kinds[name], (Picture, Mask))]
        updates = self._controls_at(names, model, **{name: settings[name] for name in names if name in settings})
        for name in self.controls.keys() - names:
            if settings.get(name) is not None:
                updates[self.controls[name]] = enlarge(settings[name])
        return updates

    def _controls_at(self, names: list[str], model: Classifier, **values) -> dict:
        parts = controls_at(self.task, names, model, **values)
        return dict(zip((self.controls[name] for name in names), parts, strict=True))


def crop_upload(image):
    """An upload as the task will see it."""
    with show_errors():
        return None if image is None else enlarge(image)
