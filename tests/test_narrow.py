"""Pruned networks keep the channels that do something."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from synth import checkpoint, hub
from synth.classifier import Classifier
from tests.conftest import CLASSES, make_model
from training.initial import build
from training.narrow import coupled, narrow
from training.recipes import recipe


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v2", "resnet50+silu"])
def test_a_network_without_its_dead_channels_computes_the_same(architecture):
    wide, small = make_model(architecture, width=0.25), make_model(architecture, width=0.125)
    alive, sizes, tensors = {}, {}, wide.state_dict()
    for name, kinds in coupled(wide).items():
        for axis, kind in enumerate(kinds):
            full, kept = (one.state_dict()[name].shape[axis] for one in (wide, small))
            assert sizes.setdefault(kind, (full, kept)) == (full, kept) or kind is None
            if kind is not None and not name.endswith(("running_mean", "running_var")):
                alive.setdefault(kind, torch.randperm(full, generator=torch.Generator().manual_seed(full))[:kept])
                dead = torch.ones(full).index_fill_(0, alive[kind], 0).bool()
                tensors[name].transpose(0, axis)[dead] = 0
    before = wide(x := torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    own = {name: value for name, value in small.state_dict().items() if name.startswith("backbone.")}
    small.load_state_dict(narrow(wide, own), strict=False)
    assert sum(one.numel() for one in small.parameters()) < sum(one.numel() for one in wide.parameters())
    torch.testing.assert_close(small(x), before, atol=1e-4, rtol=1e-4)


def test_other_shapes_and_networks_are_refused():
    wide, own = make_model(width=0.25), make_model(width=0.5).state_dict()
    with pytest.raises(ValueError, match=r"^initial: expected backbone\.\S+ in a shape from .* on, got .*$"):
        narrow(wide, {name: value for name, value in own.items() if name.startswith("backbone.")})
    with pytest.raises(
        ValueError, match="^initial: expected a network without grouped convolutions, got resnext50_32x4d$"
    ):
        coupled(Classifier("resnext50_32x4d", width=0.5))


def test_a_training_begins_with_the_strongest_channels_of_a_wider_checkpoint(tmp_path):
    checkpoint.save(tmp_path, make_model(width=0.25))
    config = recipe("folder", architecture="resnet18", width=0.125, image_size=32, initial=str(tmp_path))
    model, wide = build(config, SimpleNamespace(classes=CLASSES, groups={})), hub.load(str(tmp_path))
    assert torch.equal(model.head.bias, wide.head.bias)
    kept, all_of_them = (set(map(str, one.backbone.conv1.weight.tolist())) for one in (model, wide))
    assert len(kept) == 8 and kept < all_of_them
