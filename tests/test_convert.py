"""Checkpoints of others: built here in their exact layouts, converted, and compared with their own networks."""

import pickle
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

import synth
from synth import checkpoint, hub
from training.convert import OTHERS, main

MEAN, STD = torch.tensor([0.4717, 0.4499, 0.3837]), torch.tensor([0.26, 0.2516, 0.2575])


class Block(nn.Module):
    """A basic block under the names of the robustness library's CIFAR networks."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(out + self.shortcut(x))


class Cifar(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64)
        channels = (64, 64, 128, 256, 512)
        for index in range(4):
            blocks = Block(channels[index], channels[index + 1], 1 + (index > 0)), Block(*[channels[index + 1]] * 2, 1)
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(512, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for index in range(4):
            x = getattr(self, f"layer{index + 1}")(x)
        return self.linear(F.avg_pool2d(x, 4).flatten(1))


def randomise_norms(net: nn.Module, size: int) -> nn.Module:
    """The network with weights and statistics of batch norm that no fresh network has."""
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
    with torch.no_grad():
        net.train()(torch.rand(4, 3, size, size))
    return net.eval()


def as_library_state(net: nn.Module, prefix: str = "model.") -> dict:
    """As the robustness library saves a network with its attacker."""
    state = net.state_dict()
    tensors = {f"module.{prefix}{key}": value for key, value in state.items()}
    tensors |= {f"module.attacker.{prefix}{key}": value for key, value in state.items()}
    for owner in ("", "attacker."):
        tensors |= {f"module.{owner}normalizer.new_mean": MEAN.view(3, 1, 1)}
        tensors |= {f"module.{owner}normalizer.new_std": STD.view(3, 1, 1)}
    return tensors


def check_logits(net: nn.Module, folder: Path, size: int, mean=MEAN, std=STD) -> synth.Classifier:
    model, x = hub.load(folder), torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    x[0] *= 0.5
    expected = net((x - mean.view(3, 1, 1)) / std.view(3, 1, 1)).detach()
    assert expected.std() > 1e-3
    torch.testing.assert_close(model(x), expected, atol=2e-3 * float(expected.abs().max()), rtol=0)
    return model


def check_exact(net: nn.Module, model: synth.Classifier) -> None:
    """The very weights, but for the half precision that files hold: with these, equal logits."""
    half = {k: v.half().float() if v.ndim > 1 else v for k, v in net.state_dict().items()}
    net.load_state_dict(half)
    x = torch.rand(1, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(3))
    expected = net((x - model.mean.flatten().view(3, 1, 1)) / model.std.flatten().view(3, 1, 1)).detach()
    torch.testing.assert_close(model(x), expected, atol=1e-4, rtol=1e-4)


def test_a_cifar_network_of_the_robustness_library(tmp_path):
    net = randomise_norms(Cifar(), 32)
    saved = {"model": as_library_state(net), "epoch": 3, "optimizer": {"state": {}}}
    torch.save(saved, tmp_path / "cifar_l2_eps0.5.pt")
    main([str(tmp_path / "cifar_l2_eps0.5.pt"), "--architecture", "resnet18", "--output", str(tmp_path / "ours")])
    model = check_logits(net, tmp_path / "ours", 32)
    check_exact(net, model)
    assert model.classes[0] == "airplane" and model.info["recipe"]["epsilon"] == 0.5


@pytest.mark.parametrize("nest", ["model", "state_dict"])
def test_an_imagenet_network_of_the_robustness_library(tmp_path, nest):
    net = randomise_norms(torchvision.models.resnet18(), 64)
    torch.save({nest: as_library_state(net)}, tmp_path / "resnet18_l2_eps3.ckpt")
    main([str(tmp_path / "resnet18_l2_eps3.ckpt"), "--output", str(tmp_path / "ours")])
    model = check_logits(net, tmp_path / "ours", 224)
    check_exact(net, model)
    assert model.classes[207] == "golden retriever" and len(model.classes) == 1000
    result = synth.translation(model, picture=torch.rand(3, 224, 224), class_name="lion", steps=2)
    assert result.pictures.shape == (1, 3, 224, 224)


def test_a_network_that_is_wrapped_once_more(tmp_path):
    net = randomise_norms(torchvision.models.shufflenet_v2_x1_0(num_classes=9), 64)
    torch.save({"model": as_library_state(net, "model.model.")}, tmp_path / "shufflenet_l2_eps3.ckpt")
    main([str(tmp_path / "shufflenet_l2_eps3.ckpt"), "--output", str(tmp_path / "ours")])
    model = check_logits(net, tmp_path / "ours", 224)
    assert model.classes == ["dog", "cat", "frog", "turtle", "bird", "primate", "fish", "crab", "insect"]


def test_a_plain_state_dict_with_its_normalisation(tmp_path):
    net = randomise_norms(torchvision.models.resnet18(num_classes=1000), 64)
    state = {f"model.{key}": value for key, value in net.state_dict().items()}
    torch.save(state | {"mu": MEAN.view(1, 3, 1, 1), "sigma": STD.view(1, 3, 1, 1)}, tmp_path / "resnet18.pt")
    main([str(tmp_path / "resnet18.pt"), "--output", str(tmp_path / "ours")])
    check_logits(net, tmp_path / "ours", 224)
    torch.save(net.state_dict(), tmp_path / "plain.pth")
    main([str(tmp_path / "plain.pth"), "--architecture", "resnet18", "--output", str(tmp_path / "plain")])
    check_logits(net, tmp_path / "plain", 224, torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225]))


class Plain(nn.Module):
    """ResNet-56 for CIFAR: shortcuts without weights."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for index, (inputs, outputs) in enumerate(((16, 16), (16, 32), (32, 64)), 1):
            blocks = [Block(inputs, outputs, 1 + (index > 1)), *(Block(outputs, outputs, 1) for _ in range(8))]
            blocks[0].shortcut = nn.Sequential() if index == 1 else Padded(outputs // 4)
            setattr(self, f"layer{index}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(F.avg_pool2d(x, 8).flatten(1))


class Padded(nn.Module):
    def __init__(self, more: int):
        super().__init__()
        self.more = more

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more, self.more))


def test_the_residual_network_for_cifar(tmp_path):
    net = randomise_norms(Plain(), 32)
    torch.save({"state_dict": {f"module.{key}": value for key, value in net.state_dict().items()}}, tmp_path / "a.th")
    main([str(tmp_path / "a.th"), "--architecture", "resnet56", "--output", str(tmp_path / "ours")])
    model = check_logits(net, tmp_path / "ours", 32, *(torch.tensor(one) for one in OTHERS["resnet56"]))
    check_exact(net, model)


@pytest.mark.parametrize("name", ["lite0", "lite2"])
def test_efficientnet_lite_has_the_weights_and_logits_of_its_package(tmp_path, name):
    package = pytest.importorskip("efficientnet_lite_pytorch", reason="efficientnet-lite-pytorch is not installed")
    net = randomise_norms(package.EfficientNet.from_name(f"efficientnet-{name}", image_size=224), 224)
    torch.save(net.state_dict(), tmp_path / f"efficientnet-{name}.pth")
    main([str(tmp_path / f"efficientnet-{name}.pth"), "--output", str(tmp_path / "ours")])
    model = hub.load(tmp_path / "ours")
    check_exact(net, model)
    assert model.mean.flatten().tolist() == pytest.approx(OTHERS[f"efficientnet_{name}"][0])


def test_a_network_keeps_only_the_classes_of_another(tmp_path, capsys):
    net = randomise_norms(torchvision.models.resnet18(num_classes=1000), 64)
    torch.save(net.state_dict(), tmp_path / "resnet18.pth")
    few = synth.Classifier("resnet18", ["lion", "chain saw", "tench"], 32, 0.125, groups={"fish": ["tench"]})
    checkpoint.save(tmp_path / "few", few)
    arguments = [str(tmp_path / "resnet18.pth"), "--like", str(tmp_path / "few")]
    main([*arguments, "--output", str(tmp_path / "ours")])
    model, x = hub.load(tmp_path / "ours"), torch.rand(1, 3, 224, 224)
    assert model.classes == few.classes and model.groups == few.groups and not model.presets
    expected = net((x - model.mean) / model.std).detach()[:, [291, 491, 0]]
    torch.testing.assert_close(model(x), expected, atol=2e-3 * float(expected.abs().max()), rtol=0)
    few.classes[0] = "unicorn"
    checkpoint.save(tmp_path / "few", few)
    assert "like: expected classes that resnet18 knows, got unicorn" in error_of(capsys, *arguments)


def error_of(capsys, *arguments) -> str:
    with pytest.raises(SystemExit):
        main([*map(str, arguments), "--output", "nowhere"])
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and not Path("nowhere").exists()
    return message


def test_what_cannot_be_converted_is_one_sentence(tmp_path, capsys):
    net = Cifar()
    torch.save(as_library_state(net), tmp_path / "cifar.pt")
    assert "expected the file of a resnet50" in error_of(capsys, tmp_path / "cifar.pt", "--architecture", "resnet50")
    assert "architecture: expected --architecture" in error_of(capsys, tmp_path / "cifar.pt")
    net.linear = nn.Linear(512, 7)
    torch.save(net.state_dict(), tmp_path / "resnet18.pt")
    assert "expected 9, 10 or 1000 classes, got 7" in error_of(capsys, tmp_path / "resnet18.pt")
    (tmp_path / "resnet18.txt").write_text("no checkpoint")
    assert "expected a checkpoint of tensors only" in error_of(capsys, tmp_path / "resnet18.txt")
    torch.save([1, 2], tmp_path / "resnet18.list")
    assert "expected named tensors" in error_of(capsys, tmp_path / "resnet18.list")
    assert "expected a path or OWNER/NAME/FILE" in error_of(capsys, tmp_path / "resnet18.none")


def test_a_file_that_smuggles_code_is_refused(tmp_path, capsys):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    torch.save({"model": as_library_state(Cifar()), "args": Bomb()}, tmp_path / "resnet18.pt")
    (tmp_path / "resnet18.pkl").write_bytes(pickle.dumps(Bomb()))
    for name in ("resnet18.pt", "resnet18.pkl"):
        assert "tensors only" in error_of(capsys, tmp_path / name)
    assert not (tmp_path / "exploded").exists()
