"""The one model type: torchvision's numbers, the folded copy, the identity gradient, what is on disk."""

import copy

import pytest
import torch
import torchvision
from torch import nn

import synth
from synth import checkpoint, hub, variants
from synth.backbones import BACKBONES, backbone
from synth.classifier import Classifier
from tests.conftest import CLASSES, make_model

ARCHITECTURES = ("resnet18", "resnet50", "mobilenet_v2")
"""Those that are trained here, on small pictures too."""
OURS = ("resnet56", "efficientnet_lite0", "efficientnet_lite2")
"""Networks that torchvision does not have."""
FOREIGN = ("wide_resnet50_2", "resnext50_32x4d", "densenet161", "mnasnet1_0", "shufflenet_v2_x1_0", "vgg16_bn")
VARIED = [("resnet18+convstem+blur+silu", 224), ("resnet18+blur", 64), ("resnet50+silu+blur", 32)]
CASES = [(name, size) for name in ARCHITECTURES for size in (32, 64)] + [("resnet18", 224)] + VARIED
MEAN, STD = [0.49, 0.48, 0.45], [0.2, 0.21, 0.22]


def random_pictures(size, count=2):
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(size))


@pytest.mark.parametrize(("architecture", "size"), CASES)
def test_forward_is_the_backbone_after_normalisation(architecture, size):
    model, x = make_model(architecture, size, mean=MEAN, std=STD), random_pictures(size)
    with torch.no_grad():
        expected = model.backbone(torchvision.transforms.functional.normalize(x, MEAN, STD))
        assert expected.std() > 0.1
        torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(model.inference_copy()(x), expected, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(model(x * 3 - 1), model((x * 3 - 1).clamp(0, 1)), msg="clamped to [0, 1]")
        side = 7 if size == 224 else 4
        assert model.feature_map(x).shape == (2, model.head.in_features, side, side)
        assert model.representation(x).shape == (2, model.head.in_features)


@pytest.mark.parametrize("architecture", [name for name in BACKBONES if name not in OURS])
def test_full_width_at_224_has_torchvisions_shapes(architecture):
    with torch.device("meta"):
        ours = backbone(architecture).build(7, 224, 1)
        if architecture == "wide_resnet50_4":
            theirs = torchvision.models.resnet50(num_classes=7, width_per_group=256)
        else:
            theirs = getattr(torchvision.models, architecture)(num_classes=7)
    shapes = ({name: tensor.shape for name, tensor in net.state_dict().items()} for net in (ours, theirs))
    assert next(shapes) == next(shapes)


@pytest.mark.parametrize("architecture", FOREIGN)
def test_networks_of_others_are_read_as_torchvision_does(architecture):
    torch.manual_seed(0)
    model, x = Classifier(architecture, CLASSES, 128, mean=MEAN, std=STD).eval(), random_pictures(128, 1)
    with torch.no_grad():
        expected = model.backbone(torchvision.transforms.functional.normalize(x, MEAN, STD))
        torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(model.inference_copy()(x), expected, atol=1e-4, rtol=1e-3)
        features = model.representation(x, identity_gradient=True)
    assert features.shape == (1, model.head.in_features)
    torch.testing.assert_close(features, model.representation(x).detach())


def test_only_scalable_networks_take_small_pictures():
    with pytest.raises(ValueError, match="image_size: expected at least 128 and width 1 for densenet161, got 32 and 1"):
        Classifier("densenet161")


def test_a_variant_changes_what_it_names():
    plain, varied = (make_model(name, 224).backbone for name in ("resnet18", "resnet18+convstem+blur+silu"))
    count = {kind: sum(isinstance(m, kind) for m in varied.modules()) for kind in (nn.SiLU, nn.ReLU, variants.Blur)}
    assert count == {nn.SiLU: 10, nn.ReLU: 1, variants.Blur: 7} and varied.conv1[0].kernel_size == (3, 3)
    assert not any(isinstance(m, nn.SiLU | variants.Blur) for m in plain.modules())
    for name in ("resnet18+round", "mobilenet_v2+silu"):
        with pytest.raises(ValueError, match="architecture: expected a ResNet with one of convstem, blur, silu after"):
            Classifier(name)


def test_torchvision_weights_give_torchvisions_logits():
    theirs = torchvision.models.resnet18(num_classes=3).eval()
    model = Classifier("resnet18", ["a", "b", "c"], 224, mean=MEAN, std=STD).eval()
    model.backbone.load_state_dict(theirs.state_dict())
    x = random_pictures(224, 1)
    with torch.no_grad():
        expected = theirs(torchvision.transforms.functional.normalize(x, MEAN, STD))
        torch.testing.assert_close(model(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [0.25, 0.5, 2])
def test_width_multiplies_the_channels(width):
    with torch.device("meta"):
        assert Classifier("resnet18", width=width).head.in_features == 512 * width


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_folded_copy_agrees_and_leaves_the_original(architecture, training):
    model, x = make_model(architecture), random_pictures(32)
    expected, before = model(x).detach(), copy.deepcopy(model.state_dict())
    model.train(training)
    twin = model.inference_copy()
    torch.testing.assert_close(twin(x), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        twin.representation(x, identity_gradient=True), model.eval().representation(x), atol=1e-4, rtol=1e-4
    )
    model.train(training)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in twin.modules())
    assert not any(module.training for module in twin.modules() if not isinstance(module, nn.Identity))
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    assert all(module.training == training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert before.keys() == model.state_dict().keys()
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_hooks_on_any_module_fire_and_stay_with_the_original():
    model, x, seen = make_model(), random_pictures(32), {}
    for name, module in model.named_modules():
        module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
    logits = model(x)
    assert seen.keys() == dict(model.named_modules()).keys()
    assert torch.equal(seen["backbone"], logits)
    assert torch.equal(seen["backbone.layer4"].mean((2, 3)), model.representation(x))
    seen.clear()
    torch.testing.assert_close(model.engine()(x), logits, atol=1e-4, rtol=1e-4)
    assert not seen


LAST = {  # the layers before the final ReLU
    "resnet18": "layer4.1.bn2",
    "resnet50": "layer4.2.bn3",
    "mobilenet_v2": "features.18.1",
    "densenet161": "features.norm5",
    "mnasnet1_0": "layers.15",
    "shufflenet_v2_x1_0": "conv5.1",
    "vgg16_bn": "classifier.3",
}


@pytest.mark.parametrize("architecture", LAST)
def test_identity_gradient_reaches_a_dead_feature(architecture):
    size = 32 if architecture in ARCHITECTURES else 128
    model, feature = make_model(architecture, size, 0.125 if size == 32 else 1), 5
    norm = model.backbone.get_submodule(LAST[architecture])
    with torch.no_grad():
        norm.bias[feature] = -1000
    x = random_pictures(size).requires_grad_()
    gradients = []
    for identity in (False, True):
        value = model.representation(x, identity_gradient=identity)
        assert (value[:, feature] == 0).all(), "dead"
        gradients.append(torch.autograd.grad(value[:, feature].sum(), x)[0].abs().sum())
    assert gradients[0] == 0 and gradients[1] > 0
    assert torch.equal(model.representation(x), model.representation(x, identity_gradient=True))


def test_identity_gradient_is_the_plain_one_where_all_units_are_alive():
    model = make_model()
    with torch.no_grad():
        model.backbone.layer4[-1].bn2.bias += 1000
    x = random_pictures(32).requires_grad_()
    plain, identity = (
        torch.autograd.grad(model.representation(x, identity_gradient=flag).sum(), x)[0] for flag in (False, True)
    )
    assert plain.abs().max() > 0
    torch.testing.assert_close(plain, identity)


def test_mobilenet_units_stop_at_six():
    model = make_model("mobilenet_v2")
    with torch.no_grad():
        model.backbone.features[-1][1].bias[:9] = 1000
    assert (model.representation(random_pictures(32))[:, :9] == 6).all()


@pytest.mark.parametrize("name", ["", "nowhere", "a/b/c", "no-owner-like-this/nothing", "..", "bad name/x y"])
def test_an_unknown_name_is_one_sentence(name):
    with pytest.raises(ValueError, match=r"^checkpoint: expected [^\n]+$"):
        synth.load(name)


def test_bundled_names_come_first(tmp_path, monkeypatch):
    checkpoint.save(tmp_path / "checkpoint", make_model(info={"name": "saved"}))
    monkeypatch.setattr(hub, "BUNDLED", tmp_path)
    assert hub.bundled() == ["checkpoint"]
    assert synth.load("checkpoint").name == "saved"


def test_unknown_architecture_and_start_are_refused():
    with pytest.raises(ValueError, match=r"^architecture: expected one of resnet18, .*got 'vgg'$"):
        Classifier("vgg")
    with pytest.raises(ValueError, match=r"^start: expected noise, .*got 'pca'$"):
        make_model().sample_start("pca", torch.tensor([0]))
    assert make_model().sample_start("noise", torch.tensor([0, 1])).shape == (2, 3, 32, 32)
