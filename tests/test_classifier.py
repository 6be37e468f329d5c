"""The one model type: torchvision's numbers, the folded copy, the identity gradient, what is on disk."""

import copy
import json

import pytest
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

import synth
from synth import hub, starts
from synth.backbones import BACKBONES, backbone
from synth.classifier import Classifier
from tests.conftest import CLASSES, make_model, make_start

ARCHITECTURES = ("resnet18", "resnet50", "mobilenet_v2")
"""Those that are trained here, on small pictures too."""
FOREIGN = ("wide_resnet50_2", "resnext50_32x4d", "densenet161", "mnasnet1_0", "shufflenet_v2_x1_0", "vgg16_bn")
CASES = [(name, size) for name in ARCHITECTURES for size in (32, 64)] + [("resnet18", 224)]
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
        torch.testing.assert_close(model(x * 3 - 1), model((x * 3 - 1).clamp(0, 1)), msg="clamped to [0, 1]")
        side = 7 if size == 224 else 4
        assert model.feature_map(x).shape == (2, model.head.in_features, side, side)
        assert model.representation(x).shape == (2, model.head.in_features)


@pytest.mark.parametrize("architecture", BACKBONES)
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


@pytest.fixture
def folder(tmp_path):
    """A saved model that differs from a fresh one in every setting."""
    presets, info = {"generation": {"tuned": {"epsilon": 3.5}}}, {"name": "saved", "note": "kept"}
    model = make_model("mobilenet_v2", 64, 0.25, mean=MEAN, std=STD, presets=presets, info=info)
    model.save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


def test_a_saved_checkpoint_comes_back(folder):
    saved, loaded = make_model("mobilenet_v2", 64, 0.25, mean=MEAN, std=STD), synth.load(folder)
    assert not loaded.training and loaded.starts == ["noise"]
    expected = ("mobilenet_v2", 64, 0.25, CLASSES, {"generation": {"tuned": {"epsilon": 3.5}}}, "saved")
    assert (
        loaded.architecture,
        loaded.image_size,
        loaded.width,
        loaded.classes,
        loaded.presets,
        loaded.name,
    ) == expected
    assert loaded.info["note"] == "kept"
    for name, tensor in saved.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, atol=1e-4, rtol=1e-3, msg=name)
        if tensor.ndim == 1:
            assert torch.equal(loaded.state_dict()[name], tensor), "biases and statistics keep single precision"
    x = random_pictures(64)
    torch.testing.assert_close(loaded(x), saved(x), atol=0.02, rtol=0.02)


def test_normalisation_keeps_single_precision(folder):
    loaded = synth.load(folder)
    assert torch.equal(loaded.mean.flatten(), torch.tensor(MEAN))
    assert torch.equal(loaded.std.flatten(), torch.tensor(STD))


def test_saving_what_was_loaded_changes_nothing(folder, tmp_path):
    synth.load(folder).save_pretrained(tmp_path / "again")
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_only_safetensors_json_and_text_are_written(folder):
    assert {path.name for path in folder.iterdir()} <= {"model.safetensors", "config.json", "seal.json", "README.md"}
    assert (folder / "model.safetensors").stat().st_size < 2.5 * sum(p.numel() for p in synth.load(folder).parameters())


def test_a_start_beside_the_weights_is_loaded(folder):
    starts.save(make_start(side=8), folder / "start.safetensors")
    pictures = synth.load(folder).sample_start("mean", torch.tensor([0, 3]))
    assert pictures.shape == (2, 3, 64, 64)


def remove_key(folder):
    state = load_file(folder / "model.safetensors")
    del state["backbone.classifier.1.bias"]
    save_file(state, folder / "model.safetensors")


def add_key(folder):
    state = load_file(folder / "model.safetensors")
    save_file(state | {"backbone.more": torch.zeros(1)}, folder / "model.safetensors")


def truncate(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def edit_config(**changes):
    def damage(folder):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | changes))

    return damage


DAMAGE = {
    "missing key": remove_key,
    "unknown key": add_key,
    "truncated weights": truncate,
    "empty weights": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "missing weights": lambda folder: (folder / "model.safetensors").unlink(),
    "missing config": lambda folder: (folder / "config.json").unlink(),
    "config of no JSON": lambda folder: (folder / "config.json").write_text("{"),
    "binary config": lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe\x00"),
    "config is a list": lambda folder: (folder / "config.json").write_text("[1]"),
    "unknown architecture": edit_config(architecture="vgg"),
    "unknown setting": edit_config(depth=3),
    "other classes": edit_config(classes=["a"]),
    "other width": edit_config(width=0.5),
    "mean of two channels": edit_config(mean=[0.5, 0.5]),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_checkpoint_is_one_sentence(folder, damage):
    damage(folder)
    with pytest.raises(ValueError, match=r"^checkpoint: expected [^\n]+$"):
        synth.load(folder)


@pytest.mark.parametrize("name", ["", "nowhere", "a/b/c", "no-owner-like-this/nothing", "..", "bad name/x y"])
def test_an_unknown_name_is_one_sentence(name):
    with pytest.raises(ValueError, match=r"^checkpoint: expected [^\n]+$"):
        synth.load(name)


def test_a_pickle_is_never_read(folder):
    (folder / "model.safetensors").unlink()
    torch.save(make_model("mobilenet_v2", 64, 0.25).state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ValueError, match="^checkpoint: "):
        synth.load(folder)


def test_from_pretrained_is_as_strict(folder):
    """The Hub mixin's own loader must not leave missing weights at their random start either."""
    remove_key(folder)
    with pytest.raises((ValueError, RuntimeError)):
        Classifier.from_pretrained(folder)


def test_bundled_names_are_found_first(folder, monkeypatch):
    monkeypatch.setattr(hub, "BUNDLED", folder.parent)
    assert hub.bundled() == ["checkpoint"]
    assert synth.load("checkpoint").name == "saved"


def test_unknown_architecture_and_start_are_refused():
    with pytest.raises(ValueError, match=r"^architecture: expected one of resnet18, .*got 'vgg'$"):
        Classifier("vgg")
    with pytest.raises(ValueError, match=r"^start: expected noise, .*got 'pca'$"):
        make_model().sample_start("pca", torch.tensor([0]))
    assert make_model().sample_start("noise", torch.tensor([0, 1])).shape == (2, 3, 32, 32)
