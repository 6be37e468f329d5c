"""A picture does not depend on its companions in a batch."""

import copy

import pytest
import torch

import synth
from synth.parameters import Picture
from tests.conftest import CLASSES, assert_refused, draw_mask, draw_picture, every_task_with, needed


@pytest.fixture(scope="module")
def exact_model(model):
    """In double precision, so that rounding, which depends on the batch, flips no ReLU."""
    exact = copy.deepcopy(model).double()
    exact.decoders = {name: decoder.double() for name, decoder in exact.decoders.items()}
    return exact


@every_task_with("start")
@pytest.mark.parametrize("start", ["gaussian", "mixture", "noise"])
def test_a_picture_alone_equals_its_row(task, exact_model, start):
    """Picture i of seed s is picture 0 of seed s + i, whatever its companions."""
    model = exact_model
    settings = dict(start=start, steps=4, noise=0.01, momentum=0.5)
    together = task(model, count=3, seed=7, **settings).pictures
    for index in range(3):
        alone = task(model, count=1, seed=7 + index, class_name=index, **settings).pictures
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)
    torch.testing.assert_close(task(model, count=1, seed=7, **settings).pictures[0], together[0], atol=1e-5, rtol=0)


@every_task_with(Picture)
def test_each_picture_of_several_equals_the_picture_alone(task, exact_model):
    """Picture i of seed s is that picture alone with seed s + i, with its own class, mask and other pictures."""
    images = [draw_picture(), draw_picture().rotate(90), draw_picture().rotate(180)]
    several = needed(task) | {"picture": images}
    several |= {"mask": [draw_mask(), draw_mask().rotate(90), draw_mask().rotate(180)], "seed": 7}
    several |= {"class_name": list(CLASSES[:3]), "other": images[::-1], "style": images[::-1], "beside": "none"}
    several = {name: value for name, value in several.items() if name in task.parameters}
    each = {name: value for name, value in several.items() if isinstance(value, list)}
    frame = task(exact_model, **several)
    shape = (-1, 3) if frame.captions else (3, -1)  # kind by kind, or picture by picture
    rows = frame.pictures.unflatten(0, shape)
    for index in range(3):
        alone = several | {name: values[index] for name, values in each.items()}
        alone |= {"seed": 7 + index} if "seed" in task.parameters else {}
        row = rows[:, index] if frame.captions else rows[index]
        torch.testing.assert_close(task(exact_model, **alone).pictures, row, atol=1e-5, rtol=0)


@every_task_with(Picture)
def test_as_many_classes_and_masks_as_pictures(task, model, picture):
    for name in ("class_name", "mask", "other", "style"):
        if name in task.parameters:
            value = {"class_name": CLASSES[:2], "mask": [draw_mask()] * 2}.get(name, [picture] * 2)
            assert_refused(task, model, needed(task) | {"picture": [picture] * 3, name: value}, name)
            with pytest.raises(ValueError, match=f"^{name}: expected one, got a list of 2$"):
                task.check_single({name: list(value)})


def test_generation_takes_its_classes_in_turn(model):
    few = synth.generation(model, class_name=["dot", "square"], count=3, steps=2)
    for index, name in enumerate(("dot", "square", "dot")):
        alone = synth.generation(model, class_name=name, count=1, steps=2, seed=index)
        torch.testing.assert_close(alone.pictures[0], few.pictures[index], atol=1e-4, rtol=0)


def test_maximisation_of_one_class_equals_its_row(exact_model, picture):
    model = exact_model
    settings = dict(picture=picture, steps=4, noise=0.01)
    together = synth.maximisation(model, seed=7, **settings).pictures
    assert len(together) == len(CLASSES)
    for index, name in enumerate(CLASSES):
        alone = synth.maximisation(model, class_name=name, seed=7 + index, **settings).pictures
        torch.testing.assert_close(alone[0], together[index], atol=1e-5, rtol=0)
