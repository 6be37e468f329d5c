"""The components of every parameter."""

from __future__ import annotations

import copy

import gradio as gr
import pytest

from synth.parameters import ClassName, Depth, FeatureIndex, Float, Mask, Normal, Picture, Twin
from synth.web import controls
from synth.web.checkpoints import load
from synth.web.controls import control, controls_at
from synth.web.features import shown_feature
from tests.conftest import CLASSES, EVERY_TASK

pytestmark = pytest.mark.usefixtures("tiny")


@EVERY_TASK
def test_every_parameter_has_a_component_that_shows_its_declaration(task):
    model = load("tiny")
    for name, kind in task.parameters.items():
        value = None if isinstance(kind, (Picture, Mask)) else kind.default
        component = control(name, kind, model, value)
        if isinstance(component, gr.Slider):
            assert kind.minimum <= component.minimum < kind.minimum + kind.step
            limits = {FeatureIndex: model.head.in_features - 1, Depth: model.decoder.depth}
            assert component.maximum == limits.get(type(kind), kind.maximum)
        elif isinstance(component, gr.Dropdown):
            known = {Normal: ["squares"], Twin: ["none", "tiny", "plain"]}.get(type(kind), CLASSES)
            assert [value for _, value in component.choices if value] == list(getattr(kind, "options", known))
            if isinstance(kind, ClassName) and kind.optional:
                assert component.choices[0] == (kind.blank.capitalize(), "")
        else:
            assert isinstance(component, (gr.Number, gr.Image))
        assert kind.help in (component.label, component.info, f"{component.label}.")


@EVERY_TASK
@pytest.mark.parametrize("preset", ["tuned", "paper"])
def test_presets_set_the_controls(task, preset):
    model = load("tiny")
    names = [name for name, kind in task.parameters.items() if isinstance(kind, Float)]
    values = [control.value for control in controls_at(task, names, model, preset)]
    assert values == [task.defaults(model, preset)[name] for name in names]


def test_a_new_kind_of_parameter_is_refused():
    with pytest.raises(TypeError):
        control("x", object.__new__(type("Other", (), {"unit": "", "help": ""})), load("tiny"), None)


def test_classes_are_offered_by_superclass(model):
    model = copy.copy(model)
    model.groups, model.pairs = {"round": ["circle", "dot"], "angular": ["square", "stripe"]}, {"dot": "circle"}
    shown = [words for words, _ in controls.class_choices(model)]
    assert shown == ["circle (round)", "dot (round)", "square (angular)", "stripe (angular)"]
    assert controls.first_class(model) == "dot"


def test_the_feature_to_paint_is_shown_by_its_classes_and_never_as_markup(model, monkeypatch):
    shown = shown_feature(load("tiny"), 3)
    assert f"To paint: what it looks for in {CLASSES[3]}." in shown and '<img src="data:image/' in shown
    assert shown_feature(model, 3) == "<p>To paint: feature 3. Choose another below.</p>"  # of no folder
    monkeypatch.setattr("synth.web.features.described", lambda model, index: "<script>")
    assert "<script>" not in shown_feature(load("tiny"), 3)
