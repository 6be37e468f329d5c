"""Each kind of parameter accepts what it declares, and says in one sentence what was expected otherwise."""

import json
import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from synth.parameters import Choice, ClassName, FeatureIndex, Float, Int, Mask, Picture, flag, seed_parameter, sentence
from synth.tasks import TASKS
from tests.conftest import CLASSES, draw_mask, draw_picture

FLOAT = Float(default=1, minimum=0.5, maximum=2, unit="L2", help="A number.")
INT = Int(default=3, minimum=1, maximum=9, help="A whole number.")
FEATURE = FeatureIndex(help="A feature.")
CHOICE = Choice(default="a", options=("a", "b"), help="A word.")
CLASS = ClassName(help="A class.")
DECLARED = [(task, name) for task in TASKS.values() for name in task.parameters]
IDS = [f"{task.name}-{name}" for task, name in DECLARED]
NO_NUMBERS = [True, False, "1", None, [1], 1j, torch.tensor(1.0), np.eye(2), b"1"]
OUT_OF_BOUNDS = [math.nan, math.inf, -math.inf, -1, 0, 1000, 10**400, -(10**400), 10**5000, np.float32("nan")]


def refused(parameter, value, model, expected=""):
    with pytest.raises(ValueError, match=r"^size: expected [^\n]+, got [^\n]+$") as caught:
        parameter.check("size", value, model)
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", [0.5, 1, 2, 2.0, np.float32(1.5), np.int64(2), Fraction(3, 2)])
def test_numbers_within_bounds(model, value):
    checked = FLOAT.check("size", value, model)
    assert checked == value and type(checked) is float


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
@pytest.mark.parametrize("parameter", [FLOAT, INT, FEATURE, seed_parameter()], ids=lambda kind: type(kind).__name__)
def test_what_is_no_number(model, parameter, value):
    refused(parameter, value, model, f"expected a number from {parameter.expected()}, got")


@pytest.mark.parametrize("value", OUT_OF_BOUNDS, ids=range(len(OUT_OF_BOUNDS)))
@pytest.mark.parametrize("parameter", [FLOAT, INT], ids=["Float", "Int"])
def test_numbers_out_of_bounds(model, parameter, value):
    refused(parameter, value, model, parameter.expected())


def test_bounds_are_said_with_their_unit(model):
    refused(FLOAT, 3, model, "expected 0.5 to 2 L2, got 3")
    refused(INT, 10, model, "expected 1 to 9, got 10")


@pytest.mark.parametrize("value", [1, 9, 4.0, np.int32(5)])
def test_whole_numbers(model, value):
    checked = INT.check("size", value, model)
    assert checked == value and type(checked) is int


def test_fractions_are_no_whole_numbers(model):
    refused(INT, 2.5, model, "a whole number from 1 to 9, got 2.5")


def test_seeds_cover_31_bits(model):
    assert seed_parameter().check("seed", 2**31 - 1, model) == 2**31 - 1
    refused(seed_parameter(), 2**31, model)


def test_features_are_those_of_the_model(model):
    count = model.head.in_features
    assert FEATURE.check("size", count - 1, model) == count - 1
    refused(FEATURE, count, model, f"0 to {count - 1}, the features of tiny, got {count}")


def test_choices(model):
    assert CHOICE.check("size", "b", model) == "b"
    for value in ("c", "A", "", None, 1, ["a"], np.array([1, 2]), math.nan):
        refused(CHOICE, value, model, "one of a, b")


def test_choices_that_are_numbers_may_be_text(model):
    factor = TASKS["super_resolution"].parameters["factor"]
    for value in (4, np.int64(4), "4"):
        checked = factor.check("size", value, model)
        assert checked == 4 and type(checked) is int
    for value in (4.0, 3, True, -4, 10**5000):
        refused(factor, value, model, "one of 2, 4, 8")


def test_classes_by_name_and_index(model):
    for index, name in enumerate(CLASSES):
        for value in (name, index, str(index), np.int64(index), np.uint8(index)):
            checked = CLASS.check("size", value, model)
            assert checked == index and type(checked) is int


@pytest.mark.parametrize(
    "value",
    ["zebra", 4, -1, "4", "-1", "", None, True, 1.5, math.nan, [], ["dot", "zebra"], "9" * 5000, np.array([1, 2])],
    ids=lambda value: repr(value)[:12],
)
def test_unknown_classes(model, value):
    refused(CLASS, value, model, "one of circle, square, stripe, dot")


@pytest.mark.parametrize("value", [["dot", 1], ("3", "square"), torch.tensor([3, 1])], ids=["list", "tuple", "tensor"])
def test_several_classes(model, value):
    assert CLASS.check("size", value, model).tolist() == [3, 1]


@pytest.mark.parametrize("value", [None, ""])
def test_a_class_may_be_left_out_where_optional(model, value):
    assert ClassName(help="", optional=True).check("size", value, model) is None


def test_pictures_come_at_the_models_size_or_another(model, picture):
    assert Picture(help="").check("size", draw_picture(50, 40), model).shape == (1, 3, 32, 32)
    assert Picture(help="").check("size", picture, model, 8).shape == (1, 3, 8, 8)
    refused(Picture(help=""), "nowhere.png", model)


def test_several_pictures_are_prepared_as_each_alone(model):
    images = [draw_picture(50, 40), draw_picture(32, 32), draw_picture(90, 64)]
    batch = Picture(help="").check("size", images, model)
    assert torch.equal(batch, torch.cat([Picture(help="").check("size", image, model) for image in images]))
    assert torch.equal(Picture(help="").check("size", batch, model), batch)
    assert torch.equal(Picture(help="").check("size", [np.asarray(image) for image in images], model), batch)
    refused(Picture(help=""), [images[0], 3], model, "a picture, got 3")
    refused(Picture(help=""), [], model, "a picture, got none")


def test_several_masks(model):
    sizes = [(50, 40), (32, 32)]
    images, masks = [draw_picture(*size) for size in sizes], [draw_mask(*size) for size in sizes]
    kind = Mask(help="")
    batch = kind.check("mask", masks, model, images)
    each = [kind.check("mask", *pair[:1], model, pair[1]) for pair in zip(masks, images, strict=True)]
    assert torch.equal(batch, torch.cat(each))
    assert kind.check("mask", masks[1], model, [images[1]] * 3).shape == (1, 1, 32, 32)
    with pytest.raises(ValueError, match="^mask: expected the size of picture, 50x40, got 32x32$"):
        kind.check("mask", masks[1], model, images)


def test_masks_have_the_size_of_their_picture(model, picture):
    kind = Mask(help="")
    mask = kind.check("mask", draw_mask(50, 40), model, draw_picture(50, 40))
    assert mask.shape == (1, 1, 32, 32) and set(mask.unique().tolist()) == {0, 1}
    with pytest.raises(ValueError, match="^mask: expected the size of picture, 32x32, got 50x40$"):
        kind.check("mask", draw_mask(50, 40), model, picture)
    with pytest.raises(ValueError, match="^mask: expected a mask with at least one white pixel, got an empty one$"):
        kind.check("mask", np.zeros((32, 32), np.uint8), model, picture)
    assert kind.check("mask", None, model, picture) is None


@pytest.mark.parametrize(("task", "name"), DECLARED, ids=IDS)
def test_declarations_are_complete(task, name):
    parameter = task.parameters[name]
    assert name.isidentifier() and parameter.help.endswith(".") and "\n" not in parameter.help
    assert parameter.expected() and f"{name}: {parameter.help}" in task.__doc__
    if isinstance(parameter, Float):
        assert math.isfinite(parameter.minimum) and parameter.minimum < parameter.maximum < math.inf
        assert 0 < parameter.step <= parameter.maximum - parameter.minimum


@pytest.mark.parametrize(("task", "name"), DECLARED, ids=IDS)
def test_defaults_and_presets_lie_in_their_own_bounds(task, name, model):
    parameter = task.parameters[name]
    if not parameter.required and not isinstance(parameter, (Picture, Mask)):
        checked = parameter.check(name, parameter.default, model)
        assert checked == parameter.default
        assert json.loads(json.dumps(checked)) == checked
    for preset in task.presets.values():
        if name in preset:
            assert parameter.check(name, preset[name], model) == preset[name]


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS.keys())
def test_presets_name_declared_parameters(task):
    for preset in task.presets.values():
        assert set(preset) <= set(task.parameters)


def test_spellings():
    assert flag("class_name") == "--class" and flag("step_size") == "--step-size"
    assert sentence("one of A, b") == "One of A, b" and sentence("") == ""
