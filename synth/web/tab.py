"""The tab of one task, read from its declaration: what goes in on the left, what comes out on the right."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable

import gradio as gr
from PIL import Image

from synth import Classifier, Task
from synth.examples.shelf import examples, first_example, needs_class, target_class
from synth.parameters import ClassName, FeatureIndex, Mask, Picture
from synth.web.checkpoints import load
from synth.web.controls import controls_at, presets, updates_at
from synth.web.editor import add_editor, add_masks, default_paint, enlarge, prepare, take_brush
from synth.web.events import PRIVATE, show_errors
from synth.web.examples import ExampleGallery, checksum, example, is_empty, is_unchanged
from synth.web.features import FeatureMenu, find_features, shown_feature
from synth.web.results import Results
from synth.web.stored import Stored

BEST = 40
"""Features among which a surprise chooses, those that raise a class most."""


class Tab:
    """The components of a task: its controls and example galleries by parameter, its presets and results.

    dataset_picture: returns a picture of the data set, at a side in pixels, if there is a data set at hand.
    """

    def __init__(self, task: Task, checkpoint: gr.Dropdown, other: gr.Dropdown, dataset_picture: Callable | None):
        self.task, self.checkpoint, self.dataset_picture = task, checkpoint, dataset_picture
        self.controls: dict[str, gr.components.Component] = {}
        self.galleries: dict[str, ExampleGallery] = {}
        self.features: FeatureMenu | None = None
        self.cropped = None
        model = load(checkpoint.value)
        look = {"id": task.name, "elem_id": f"tab-{task.name}", "visible": task.supports(model)}
        with gr.Tab(task.title, **look) as self.tab:
            gr.Markdown(inspect.cleandoc(type(task).__doc__ or "").split("\n\n")[0])
            with gr.Row(elem_classes="halves"):
                with gr.Column(min_width=320, elem_classes="inputs"):
                    self._add_inputs(model)
                with gr.Column(min_width=320):
                    self.results = Results(task, checkpoint, other, self.controls)
        surprise = self.results.surprise.click(self._surprise, checkpoint, self._surprised, **PRIVATE)
        surprise.success(None, None, None, js="() => synth.pressRun()", **PRIVATE)
        if isinstance(self.controls.get("picture"), gr.ImageEditor):
            self.tab.select(None, None, None, js=take_brush(self.controls["picture"]), **PRIVATE)

    @property
    def class_menus(self) -> dict:
        """The controls of class names, by parameter."""
        return {n: self.controls[n] for n, kind in self.task.parameters.items() if type(kind) is ClassName}

    def _add_inputs(self, model: Classifier) -> None:
        """The left half: what to do, the preset, and the settings that it fills in."""
        kinds, names = self.task.parameters, list(self.task.parameters)
        first = names.index(self.task.first_setting)
        settings = [name for name in names[first:] if name not in ("seed", "extent")]
        chosen = {}
        if "picture" in kinds and needs_class(self.task, model):
            chosen["class_name"] = target_class(self.task, model, first_example(self.task, model))

        def add(*names: str, **values) -> None:
            controls = controls_at(self.task, names, model, **chosen, **values)
            self.controls.update(zip(names, controls, strict=True))

        aside = [name for name in names[:first] if name == "size"]
        shown = [name for name in names[:first] if name not in (*aside, "extent")]  # that follows from the picture
        shown.sort(key=lambda name: not isinstance(kinds[name], ClassName))  # what decides is seen without scrolling
        pictures = [name for name in shown if isinstance(kinds[name], Picture)]
        if any(isinstance(kinds[name], FeatureIndex) for name in shown):
            feature = gr.HTML(shown_feature(model, self.task.defaults(model)["feature"]), elem_classes="chosen")
        for name in shown:
            kind = kinds[name]
            if len(pictures) > 1 and name in pictures:
                if name == pictures[0]:
                    self._add_side_by_side(pictures, model, add)
            elif isinstance(kind, Mask):
                with gr.Accordion("Upload a mask instead of drawing it", open=False):
                    add(name)
            elif isinstance(kind, Picture):
                self._add_picture(name, kind, model, add)
            else:
                add(name)
                if isinstance(kind, FeatureIndex):
                    self.features = FeatureMenu(self.checkpoint, self.controls[name], feature, model)
        with gr.Accordion("Settings", open=False, elem_classes="settings"):
            words = {"label": "Preset", "info": "A preset fills in the settings below."}
            self.preset = gr.Radio(presets(self.task, model), value="tuned", **words)
            add(*aside, *[name for name in settings if not kinds[name].more])
            if "seed" in kinds:
                add("seed")
            folded = [name for name in settings if kinds[name].more]
            if folded:
                with gr.Accordion("More settings", open=False, elem_classes="settings"):
                    add(*folded)

        def fill_in(checkpoint: str, preset: str):
            with show_errors():
                return updates_at(self.task, settings, load(checkpoint), preset)

        outputs = [self.controls[name] for name in settings]
        self.preset.input(fill_in, [self.checkpoint, self.preset], outputs, **PRIVATE)
        for gallery in self.galleries.values():
            gallery.connect(self.checkpoint, self.controls)

    def _add_side_by_side(self, names: list[str], model: Classifier, add: Callable) -> None:
        """Several pictures beside each other, each with its examples."""
        with gr.Row():
            for name in names:
                with gr.Column(min_width=200):
                    kind = self.task.parameters[name]
                    assert isinstance(kind, Picture)
                    self._add_picture(name, kind, model, add)

    def _add_picture(self, name: str, kind: Picture, model: Classifier, add: Callable) -> None:
        """A picture to upload or to draw on, with examples below."""
        image = self._shown(name, model, first_example(self.task, model, name))
        if name == "picture" and (self.task.drawn or "mask" in self.task.parameters):
            self.controls[name] = add_editor(self.task, image)
            if not self.task.drawn:
                add_masks(self.controls[name])
        else:
            add(name, **{name: image})
            whole = "extent" in self.task.parameters and name == "picture"
            cropped = refuse_damaged(self.controls[name], whole)
            self.cropped = cropped if name == "picture" else self.cropped
        self.galleries[name] = ExampleGallery(self.task, name, model, image)
        dataset_picture = self.dataset_picture
        if dataset_picture is not None and not self.task.drawn and kind.shelf != "styles":

            def fetch(checkpoint: str) -> Image.Image:
                return enlarge(dataset_picture(load(checkpoint).image_size))

            button = gr.Button("A picture from the data set", size="sm")
            button.click(fetch, self.checkpoint, self.controls[name], **PRIVATE)

    def renew(self, model: Classifier, values: dict) -> dict:
        """Updates for another checkpoint: presets, bounds, classes, examples and the stored result.

        What the user chose stays if it can. A picture that is still an example becomes an example of the new
        checkpoint; a user's own stays. Pictures that are not among ``values``, by component, count as examples.
        """
        names = [name for name in self.controls if name not in (*self.galleries, "mask", "seed")]
        chosen = {name: values[menu] for name, menu in self.class_menus.items() if values[menu] in model.classes}
        updates = {self.tab: gr.Tab(visible=self.task.supports(model))}
        updates |= {self.preset: gr.Radio(presets(self.task, model), value="tuned")}
        for parameter, gallery in self.galleries.items():
            updates[gallery.gallery] = gallery.thumbnails(model)
            control = self.controls[parameter]
            replaced = control not in values or is_empty(values[control])
            if replaced or is_unchanged(values[control], values[gallery.checksum]):
                name = first_example(self.task, model, parameter)
                updates |= self._show_example(parameter, model, name)
                if gallery.brings_class and needs_class(self.task, model):
                    chosen["class_name"] = target_class(self.task, model, name)
        if self.features is not None:
            updates |= self.features.renew(model, self.task.defaults(model)["feature"])
        return updates | self._controls_at(names, model, **chosen) | self.results.renew(model)

    def restore(self, model: Classifier, settings: dict) -> dict:
        """Updates for the ``settings`` of an earlier run; pictures that these lack stay as they are."""
        kinds = self.task.parameters
        names = [name for name in self.controls if not isinstance(kinds[name], (Picture, Mask))]
        updates = self._controls_at(names, model, **{name: settings[name] for name in names if name in settings})
        for name in self.controls.keys() - names:
            if settings.get(name) is not None:
                updates[self.controls[name]] = enlarge(settings[name])
        return updates

    def open_stored(self, model: Classifier, one: Stored) -> dict:
        """Updates that show a stored result with its settings and examples."""
        updates = self.restore(model, one.settings)
        for name, shown in one.examples.items():
            updates |= self._show_example(name, model, shown)
        return updates | self.results.show_stored(one)

    def _show_example(self, parameter: str, model: Classifier, name: str) -> dict:
        shown = self._shown(parameter, model, name)
        return {self.controls[parameter]: shown, self.galleries[parameter].checksum: checksum(shown)}

    def _shown(self, parameter: str, model: Classifier, name: str) -> Image.Image | dict:
        """The example as the page puts it there by itself."""
        image = example(self.task, model, parameter, name)
        return default_paint(self.task, model, image) if parameter == "picture" else image

    @property
    def outputs(self) -> list:
        """All that ``renew``, ``restore`` and ``open_stored`` update."""
        parts = [self.tab, self.preset, *self.controls.values(), *self.results.outputs]
        parts += [part for gallery in self.galleries.values() for part in (gallery.gallery, gallery.checksum)]
        return parts + (self.features.outputs if self.features is not None else [])

    @property
    def _surprised(self) -> list:
        galleries = [part for name, one in self.galleries.items() for part in (self.controls[name], one.checksum)]
        chosen = [part for name, part in self.controls.items() if name in ("class_name", "seed", "feature")]
        return [*galleries, *chosen]

    def _surprise(self, checkpoint: str) -> dict:
        """Updates that choose an example, a class or a feature, and a seed at random."""
        with show_errors():
            model = load(checkpoint)
        updates: dict = {}
        shown = ""
        for parameter in self.galleries:
            name = random.choice(list(examples(self.task, model, parameter)))
            updates |= self._show_example(parameter, model, name)
            shown = name if parameter == "picture" else shown
        values: dict = {"seed": random.randrange(2**31)}
        if "class_name" in self.controls and (not shown or needs_class(self.task, model)):
            target = target_class(self.task, model, shown) if shown else random.choice(model.classes)
            if self.task.shows_target and target == shown:
                target = random.choice([one for one in model.classes if one != shown])
            values["class_name"] = target if target in model.classes else random.choice(model.classes)
        if self.features is not None:
            known = [feature.index for feature in find_features(model, "")[:BEST]]
            values["feature"] = random.choice(known or range(model.head.in_features))
        return updates | {self.controls[name]: value for name, value in values.items() if name in self.controls}

    def _controls_at(self, names: list[str], model: Classifier, **values) -> dict:
        parts = updates_at(self.task, names, model, **values)
        return dict(zip((self.controls[name] for name in names), parts, strict=True))


def refuse_damaged(control: gr.Image, whole: bool):
    """Show an upload as the task will see it, or refuse it in a sentence and take it away; returns the event.

    whole: whether the task can work on the whole of a photograph.
    """

    def crop(upload: dict | None):
        with show_errors():
            return None if upload is None else prepare(upload["path"], whole)

    cropped = control.upload(crop, control, control, preprocess=False, **PRIVATE)
    cropped.failure(lambda: None, None, control, **PRIVATE)
    return cropped
