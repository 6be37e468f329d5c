"""The components of every parameter."""

from __future__ import annotations

import copy
from contextlib import closing

import gradio as gr
import pytest

from synth.parameters import ClassName, Depth, FeatureIndex, Float, Mask, Normal, Picture, Twin
from synth.web import controls
from synth.web.checkpoints import load
from synth.web.controls import control, controls_at, updates_at
from synth.web.features import shown_feature
from synth.web.page import build
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


@EVERY_TASK
def test_updates_make_the_controls_those_of_another_checkpoint(task):
    """A control that is told its value alone would be the same of both checkpoints but for that."""
    names = [name for name, kind in task.parameters.items() if not isinstance(kind, (Picture, Mask))]
    ours, theirs = (controls_at(task, names, load(name)) for name in ("tiny", "plain"))
    for one, other, update in zip(ours, theirs, updates_at(task, names, load("plain")), strict=True):
        wanted = other.get_config()
        made = update.get_config() if isinstance(update, gr.components.Component) else one.get_config()
        assert made | {"value": wanted["value"]} == wanted
        assert wanted["value"] == getattr(update, "value", update)


def test_the_page_marks_nothing_but_one_state_as_waiting():
    """Gradio's page looks for all that was ever marked, with every message of every run."""
    with closing(build()) as page:
        config = page.get_config_file()
        (state,) = {one for event in config["dependencies"] for one in event["show_progress_on"]}
        kinds = {part["id"]: part["type"] for part in config["components"]}
        assert kinds[state] == "state" and config["layout"]["children"][0]["id"] == state
