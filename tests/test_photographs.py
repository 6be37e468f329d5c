"""Pictures of any size and shape: what may change, what stays, and what is refused."""

import pytest
import torch
import torch.nn.functional as F

import synth
from synth import photographs, pictures
from synth.constraints import norms
from synth.objectives import Objective
from tests.conftest import draw_mask, draw_picture

WIDE = (150, 90)


def hole(left: int, top: int, right: int, bottom: int, size: tuple[int, int] = WIDE):
    mask = draw_mask(*size).point(lambda _: 0)
    mask.paste(255, (left, top, right, bottom))
    return mask


@pytest.mark.parametrize("name, more", [("inpainting", {}), ("painting", {"feature": 3, "epsilon": 2})])
@pytest.mark.parametrize("place", [(60, 30, 80, 50), (0, 0, 10, 10), (140, 70, 150, 90), (0, 40, 150, 60)])
def test_a_photograph_changes_under_its_mask_alone(name, more, place, model):
    photo, mask = draw_picture(*WIDE), hole(*place)
    frames = list(synth.TASKS[name].frames(model, picture=photo, mask=mask, extent="whole", steps=4, **more))
    original, inside = pictures.to_tensor(photo, 0), pictures.to_mask(mask, 0) > 0
    assert all(frame.pictures.shape == frame.start.shape == (1, 3, 90, 150) for frame in frames)
    changed = (frames[-1].pictures - original).abs().amax(1, keepdim=True) > 0
    assert not (changed & ~inside).any() and changed[inside].float().mean() > 0.9
    assert (frames[-1].pictures - frames[0].pictures).abs().max() > 0.01, "the steps change it"


def test_a_large_hole_is_filled_at_several_sizes(model):
    photo, mask = draw_picture(400, 300), hole(100, 100, 200, 200, (400, 300))
    around = photographs.Surroundings.of(pictures.to_tensor(photo, 0), pictures.to_mask(mask, 0), 32)
    assert (around.side, around.top, around.left, around.stages) == (250, 25, 25, 4)
    frames = list(synth.inpainting.frames(model, picture=photo, mask=mask, extent="whole", steps=4))
    assert [frame.step for frame in frames] == list(range(9)) and {frame.steps for frame in frames} == {8}


@pytest.mark.parametrize("factor", [2, 4])
def test_an_enlarged_photograph_shrinks_to_what_it_was(factor, model):
    photo = draw_picture(50, 30)
    frame = synth.super_resolution(model, picture=photo, factor=factor, extent="whole", steps=3, detail=1)
    assert frame.pictures.shape == (1, 3, 30 * factor, 50 * factor)
    shrunk = F.avg_pool2d(frame.pictures, factor)
    assert (shrunk - pictures.to_tensor(photo, 0)).abs().max() < 1e-4
    assert norms(frame.pictures - frame.start).item() > 0.1


def test_tiles_cover_every_pixel_and_lie_elsewhere_each_time():
    x = torch.rand(1, 3, 70, 100).requires_grad_()
    seen = []
    objective = photographs.tiled(Objective(lambda tiles: seen.append(tiles) or tiles.flatten(1).sum(1)), 32)
    gradients = [torch.autograd.grad(objective(x).sum(), x)[0] for _ in range(3)]
    assert all(tiles.shape[1:] == (3, 32, 32) for tiles in seen)
    assert all((gradient >= 1).all() for gradient in gradients)
    assert not torch.equal(gradients[0], gradients[1]) or not torch.equal(gradients[1], gradients[2])


@pytest.mark.parametrize(
    "name, settings, match",
    [
        ("inpainting", {"picture": draw_picture(*WIDE)}, r"^mask: expected one where the whole picture"),
        ("inpainting", {"picture": [draw_picture()] * 2, "mask": draw_mask()}, r"^picture: expected one picture"),
        ("super_resolution", {"picture": draw_picture(2100, 2000)}, r"^picture: expected at most 4,194,304 pixels"),
        ("super_resolution", {"picture": draw_picture(1100, 1000)}, r"^picture: expected a result of .*4400x4000"),
        ("super_resolution", {"picture": draw_picture(100, 6)}, r"^picture: expected a result of at least 32 .*400x24"),
    ],
)
def test_what_does_not_fit_is_refused(name, settings, match, model):
    with pytest.raises(ValueError, match=match):
        synth.TASKS[name](model, extent="whole", **settings)
