"""The one model type: normalisation, a torchvision backbone sized for 32 to 224 pixels, a representation."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from huggingface_hub import PyTorchModelHubMixin
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import mobilenetv2, resnet

from synth import seal
from synth.randomness import Randomness
from synth.start import Start, noise

RESNETS = {
    "resnet18": (resnet.BasicBlock, (2, 2, 2, 2)),
    "resnet50": (resnet.Bottleneck, (3, 4, 6, 3)),
}
ARCHITECTURES = (*RESNETS, "mobilenet_v2")


class _ResNet(resnet.ResNet):
    """torchvision's ResNet with its channel counts multiplied by ``width``."""

    def __init__(self, block, layers, num_classes: int, width: float):
        self._width = width
        super().__init__(block, list(layers))
        stem = self.layer1[0].conv1.in_channels
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(self.conv1.weight, mode="fan_out", nonlinearity="relu")
        self.bn1 = nn.BatchNorm2d(stem)
        self.fc = nn.Linear(self.inplanes, num_classes)

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:  # the first stage starts from the stem
            self.inplanes = _channels(64, self._width)
        return super()._make_layer(block, _channels(planes, self._width), blocks, stride, dilate)


def _channels(count: int, width: float) -> int:
    return max(8, round(count * width / 8) * 8)


def _small_resnet_stem(net: resnet.ResNet, image_size: int) -> None:
    """Below 128 pixels: a 3x3 stem without max-pooling; its stride keeps the first stage at 32x32."""
    if image_size >= 128:
        return
    stem = nn.Conv2d(3, net.conv1.out_channels, 3, stride=2 if image_size > 48 else 1, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    net.conv1, net.maxpool = stem, nn.Identity()


def _small_mobilenet_strides(net: mobilenetv2.MobileNetV2, image_size: int) -> None:
    """Below 128 pixels the first strides become 1, so that the last map is 4x4 as at 32 pixels elsewhere."""
    if image_size >= 128:
        return
    strided = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
    for convolution in strided[: 1 if image_size > 48 else 2]:
        convolution.stride = (1, 1)


def backbone(architecture: str, num_classes: int, image_size: int, width: float) -> nn.Module:
    """A torchvision network for (N, 3, image_size, image_size) pictures; ValueError for an unknown name."""
    if architecture in RESNETS:
        block, layers = RESNETS[architecture]
        net = _ResNet(block, layers, num_classes, width)
        _small_resnet_stem(net, image_size)
        return net
    if architecture == "mobilenet_v2":
        net = mobilenetv2.MobileNetV2(num_classes=num_classes, width_mult=width)
        _small_mobilenet_strides(net, image_size)
        return net
    raise ValueError(f"architecture: expected one of {', '.join(ARCHITECTURES)}, got {architecture!r}")


class _IdentityGradientReLU(torch.autograd.Function):
    """ReLU whose backward pass is the identity, so that a dead unit still receives a gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, maximum: float) -> Tensor:
        return x.clamp(0, maximum)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient, None


def _final_activation(x: Tensor, maximum: float, identity_gradient: bool) -> Tensor:
    return _IdentityGradientReLU.apply(x, maximum) if identity_gradient else x.clamp(0, maximum)


def _resnet_features(net: resnet.ResNet, x: Tensor, identity_gradient: bool) -> Tensor:
    x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
    x = net.layer3(net.layer2(net.layer1(x)))
    block = net.layer4[-1]
    for earlier in net.layer4[:-1]:
        x = earlier(x)
    out, shortcut = x, x if block.downsample is None else block.downsample(x)
    convolutions = [name for name, _ in block.named_children() if name.startswith("conv")]
    for name in convolutions:
        out = getattr(block, name.replace("conv", "bn"))(getattr(block, name)(out))
        if name != convolutions[-1]:
            out = F.relu(out)
    return _final_activation(out + shortcut, float("inf"), identity_gradient)


def _mobilenet_features(net: mobilenetv2.MobileNetV2, x: Tensor, identity_gradient: bool) -> Tensor:
    x = net.features[:-1](x)
    convolution, norm, _ = net.features[-1]
    return _final_activation(norm(convolution(x)), 6, identity_gradient)


class RobustClassifier(nn.Module, PyTorchModelHubMixin, library_name="pytorch", license="mit"):
    """A classifier of pictures in [0, 1], saved as ``model.safetensors`` and ``config.json``.

    architecture: "resnet18", "resnet50" or "mobilenet_v2" (torchvision's).
    classes: names, in the order of the logits.
    image_size: the side, in pixels, that it was trained at; it also decides the stem.
    width: multiplier of the channel counts.
    mean, std: normalisation of each channel, applied inside.
    presets: {task: {preset name: {parameter: value}}} for synthesis with this checkpoint.
    groups: {superclass: [classes]}, where the classes have superclasses.
    pairs: (class, another that it turns into well); the first is the one to show first.
    info: anything else worth keeping beside the weights (name, training recipe, data set).
    """

    def __init__(
        self,
        architecture: str = "resnet18",
        classes: list[str] | None = None,
        image_size: int = 32,
        width: float = 1,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        presets: dict | None = None,
        groups: dict[str, list[str]] | None = None,
        pairs: list[tuple[str, str]] | None = None,
        info: dict | None = None,
    ):
        super().__init__()
        self.architecture, self.image_size, self.width = architecture, image_size, width
        self.classes = list(classes or [str(index) for index in range(10)])
        self.presets, self.info = presets or {}, info or {}
        self.groups, self.pairs = groups or {}, dict(pairs or [])
        self.source = self.info.get("name", "unnamed")
        """What ``synth.load`` was asked for; pictures carry it, so that they can be repeated."""
        self.register_buffer("mean", torch.tensor(mean or [0.5] * 3).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std or [0.25] * 3).view(1, 3, 1, 1))
        self.start: Start | None = None
        """Statistics for ``seeds``, set when the checkpoint has a ``start.safetensors``."""
        self.backbone = backbone(architecture, len(self.classes), image_size, width)

    @property
    def head(self) -> nn.Linear:
        """The last linear layer, from the representation to the logits."""
        return self.backbone.fc if self.architecture in RESNETS else self.backbone.classifier[-1]

    @property
    def name(self) -> str:
        return self.info.get("name", "unnamed")

    def group(self, name: str) -> str:
        """The superclass of the class ``name``, "" if it has none."""
        return next((group for group, classes in self.groups.items() if name in classes), "")

    @property
    def device(self) -> torch.device:
        return self.mean.device

    def feature_map(self, x: Tensor, *, identity_gradient: bool = False) -> Tensor:
        """The last feature map before pooling: (N, 3, H, W) in [0, 1] -> (N, units, h, w)."""
        x = (x.clamp(0, 1) - self.mean) / self.std
        features = _resnet_features if self.architecture in RESNETS else _mobilenet_features
        return features(self.backbone, x, identity_gradient)

    def representation(self, x: Tensor, *, identity_gradient: bool = False) -> Tensor:
        """R(x), the input of the last linear layer: (N, 3, H, W) in [0, 1] -> (N, units)."""
        return self.feature_map(x, identity_gradient=identity_gradient).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits: (N, 3, H, W) in [0, 1] -> (N, classes)."""
        features = self.representation(x)
        return self.head(features) if self.architecture in RESNETS else self.backbone.classifier(features)

    def for_synthesis(self) -> RobustClassifier:
        """A frozen copy in eval mode, batch norm folded into the convolutions, channels last; outputs as before."""
        twin = copy.deepcopy(self, {id(self.start): self.start}).eval().requires_grad_(False)
        _fold_batch_norm(twin.backbone)
        return twin.to(memory_format=torch.channels_last)

    def seeds(self, kind: str, labels: Tensor, *, scale: float = 1, generator: Randomness = None) -> Tensor:
        """Random starts (N, 3, S, S) for ``labels`` (N,) from the statistics that came with the checkpoint."""
        if kind != "noise" and self.start is None:
            raise ValueError(f"start: expected noise, since {self.name} came without start.safetensors, got {kind!r}")
        draw = noise if kind == "noise" else partial(self.start.sample, kind)
        return draw(labels, self.image_size, scale=scale, generator=generator).to(self.device)

    @classmethod
    def _load_as_safetensor(cls, model, model_file, map_location, strict) -> RobustClassifier:
        """Every weight must be there, whatever ``strict`` says: a partly loaded model would be silently wrong."""
        try:
            model.load_state_dict(load_file(model_file), strict=True)
        except Exception as error:  # missing, damaged or of another network: each has its own type
            reason = " ".join(str(error).split())[:160]
            raise ValueError(f"checkpoint: expected a whole model.safetensors, got {model_file}: {reason}") from None
        return model.eval().to(map_location)

    @classmethod
    def _load_as_pickle(cls, model, model_file, map_location, strict):
        raise ValueError("checkpoint: expected a model.safetensors, got none, and pickles are never read")

    def _save_pretrained(self, save_directory: Path) -> None:
        """Weights in half precision; biases and statistics, which are small, in single; and a seal over them."""
        state = {name: _compact(tensor) for name, tensor in self.state_dict().items()}
        state |= {"mean": self.mean.clone(), "std": self.std.clone()}
        save_file(state, Path(save_directory) / "model.safetensors", metadata={"format": "pt"})
        saved = copy.deepcopy(self, {id(self.start): self.start})
        saved.load_state_dict(state)
        seal.write(Path(save_directory), saved, self.image_size)


def _fold_batch_norm(module: nn.Module) -> None:
    """Replace every convolution that a batch norm follows by one convolution, in place."""
    previous = None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous[1], nn.Conv2d):
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
        else:
            _fold_batch_norm(child)
        previous = name, child


def _compact(tensor: Tensor) -> Tensor:
    tensor = tensor.half() if tensor.ndim > 1 and tensor.is_floating_point() else tensor
    return tensor.contiguous().clone()
