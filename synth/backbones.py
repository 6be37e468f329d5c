"""The networks that a checkpoint may have: torchvision's, with stems that fit small pictures, and three of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from math import inf
from operator import attrgetter
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision import models
from torchvision.models import mobilenetv2, resnet

from synth import variants
from synth.cifar_resnet import CifarResNet
from synth.efficientnet_lite import efficientnet_lite

SMALL = 128
"""Below this side in pixels, ResNets and MobileNetV2 get stems for small pictures; the others do not go there."""
Stage = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Backbone:
    """How to make and read a network.

    build(classes, image_size, width) makes it.
    stages(net): its parts up to the last map before pooling, one after another, each but the first at a lower
    resolution; the last one without its final ReLU, which clamps to [0, ``maximum``].
    classifier(net): what follows the pooling, perhaps a dropout, and the last linear layer.
    """

    build: Callable[[int, int, float], nn.Module]
    stages: Callable[[Any], list[Stage]]
    classifier: Callable[[Any], nn.Module]
    maximum: float = inf

    def maps(self, net: nn.Module, x: Tensor, identity_gradient: bool = False) -> Iterator[Tensor]:
        """The map after each stage, one by one: (N, 3, H, W) normalised -> (N, channels, h, w) each.

        identity_gradient: the final ReLU passes every gradient on.
        """
        *earlier, last = self.stages(net)
        for stage in earlier:
            x = stage(x)
            yield x
        x = last(x)
        yield _IdentityGradientReLU.apply(x, self.maximum) if identity_gradient else x.clamp(0, self.maximum)


class _ResNet(resnet.ResNet):
    """torchvision's ResNet with its channel counts multiplied by ``width``."""

    def __init__(self, block, layers, num_classes: int, width: float, **more):
        self._width = width
        super().__init__(block, list(layers), **more)
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


def _resnet(block, layers, more: dict, classes: int, image_size: int, width: float) -> nn.Module:
    """Below 128 pixels: a 3x3 stem without max-pooling; its stride keeps the first stage at 32x32."""
    net = _ResNet(block, layers, classes, width, **more)
    if image_size < SMALL:
        stem = nn.Conv2d(3, net.conv1.out_channels, 3, stride=2 if image_size > 48 else 1, padding=1, bias=False)
        nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
        net.conv1, net.maxpool = stem, nn.Identity()
    return net


def _mobilenet(classes: int, image_size: int, width: float) -> nn.Module:
    """Below 128 pixels the first strides become 1, so that the last map is 4x4 as at 32 pixels elsewhere."""
    net = mobilenetv2.MobileNetV2(num_classes=classes, width_mult=width)
    if image_size < SMALL:
        strided = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.stride == (2, 2)]
        for convolution in strided[: 1 if image_size > 48 else 2]:
            convolution.stride = (1, 1)
    for block in [m for m in net.modules() if isinstance(m, nn.Sequential)]:
        first = block[0]
        if isinstance(first, nn.Conv2d) and first.groups > 1 and first.stride == (2, 2):
            block[0] = StridedDepthwise(first)
    return net


class StridedDepthwise(nn.Conv2d):
    """The depthwise ``convolution`` of 3x3 with stride 2, which computes in single precision under autocast on the CPU.

    oneDNN has no fast backward pass for it in bf16: on one machine it took 290 ms for the three of a MobileNetV2 on 128
    pictures of 32 pixels, and takes 34 ms in single precision.
    """

    def __init__(self, convolution: nn.Conv2d):
        channels = convolution.in_channels
        super().__init__(channels, channels, 3, 2, 1, groups=channels, bias=False, device="meta")
        self.weight = convolution.weight

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return super().forward(x)
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.to(self.weight.dtype))


def _plain(make: Callable[..., nn.Module], classes: int, image_size: int, width: float) -> nn.Module:
    if image_size < SMALL or width != 1:
        name = getattr(make, "__name__", "this network")
        raise ValueError(
            f"image_size: expected at least {SMALL} and width 1 for {name}, got {image_size} and {width:g}"
        )
    return make(num_classes=classes)


class _IdentityGradientReLU(torch.autograd.Function):
    """ReLU whose backward pass is the identity, so that a dead unit still receives a gradient."""

    @staticmethod
    def forward(ctx, x: Tensor, maximum: float) -> Tensor:
        return x.clamp(0, maximum)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        return gradient, None


def _sequence(*places: int, of: str, activated: bool) -> Callable[[Any], list[Stage]]:
    """The stages of a network whose part ``of`` is a sequence, split before each of ``places``.

    activated: the sequence ends with the final ReLU.
    """

    def stages(net: Any) -> list[Stage]:
        layers = getattr(net, of)
        return [layers[begin:end] for begin, end in pairwise([0, *places, len(layers) - activated])]

    return stages


def _cifar_resnet(classes: int, image_size: int, width: float) -> nn.Module:
    """Its stem keeps the resolution, so that it is for pictures below 128 pixels."""
    if image_size >= SMALL:
        raise ValueError(f"image_size: expected less than {SMALL} for resnet56, got {image_size}")
    first, second, third = (_channels(count, width) for count in (16, 32, 64))
    return CifarResNet(9, (first, second, third), classes)


def _resnet_stages(net: Any) -> list[Stage]:
    *earlier, layer = [one for name, one in net.named_children() if name.startswith("layer")]
    *blocks, block = layer

    def last(x: Tensor) -> Tensor:
        for earlier in blocks:
            x = earlier(x)
        out, shortcut = x, x if block.downsample is None else block.downsample(x)
        convolutions = [name for name, _ in block.named_children() if name.startswith("conv")]
        for name in convolutions:
            out = getattr(block, name.replace("conv", "bn"))(getattr(block, name)(out))
            if name != convolutions[-1]:
                out = F.relu(out)
        return out + shortcut

    pool = getattr(net, "maxpool", nn.Identity())
    return [nn.Sequential(net.conv1, net.bn1, net.relu, pool, earlier[0]), *earlier[1:], last]


def _mobile_stages(*places: int) -> Callable[[Any], list[Stage]]:
    """The stages of a network whose ``features`` end with convolution, norm and ReLU6: split before ``places``."""

    def stages(net: Any) -> list[Stage]:
        *earlier, last = _sequence(*places, of="features", activated=True)(net)
        convolution, norm, _ = net.features[-1]
        return [*earlier, lambda x: norm(convolution(last(x)))]

    return stages


def _shufflenet_stages(net: Any) -> list[Stage]:
    return [nn.Sequential(net.conv1, net.maxpool), net.stage2, net.stage3, nn.Sequential(net.stage4, net.conv5[:-1])]


def _vgg_stages(net: Any) -> list[Stage]:
    """The last one ends with the representation, 4096 units of a linear layer, as a map of one pixel."""
    stages = _sequence(7, 14, 24, 34, of="features", activated=False)(net)
    return [*stages, nn.Sequential(net.avgpool, nn.Flatten(), net.classifier[:4], nn.Unflatten(1, (-1, 1, 1)))]


def _residual(block, layers, **more) -> Backbone:
    return Backbone(partial(_resnet, block, layers, more), _resnet_stages, attrgetter("fc"))


def _efficientnet(width: float, depth: float) -> Backbone:
    build = partial(_plain, partial(efficientnet_lite, width, depth))
    return Backbone(build, _mobile_stages(3, 4, 6), attrgetter("classifier"), maximum=6)


BACKBONES = {
    "resnet18": _residual(resnet.BasicBlock, (2, 2, 2, 2)),
    "resnet50": _residual(resnet.Bottleneck, (3, 4, 6, 3)),
    "wide_resnet50_2": _residual(resnet.Bottleneck, (3, 4, 6, 3), width_per_group=128),
    "wide_resnet50_4": _residual(resnet.Bottleneck, (3, 4, 6, 3), width_per_group=256),
    "resnext50_32x4d": _residual(resnet.Bottleneck, (3, 4, 6, 3), groups=32, width_per_group=4),
    "resnet56": Backbone(_cifar_resnet, _resnet_stages, attrgetter("fc")),
    "mobilenet_v2": Backbone(_mobilenet, _mobile_stages(4, 7, 14), attrgetter("classifier"), maximum=6),
    "efficientnet_lite0": _efficientnet(1, 1),
    "efficientnet_lite2": _efficientnet(1.1, 1.2),
    "densenet161": Backbone(
        partial(_plain, models.densenet161),
        _sequence(5, 7, 9, of="features", activated=False),
        attrgetter("classifier"),
    ),
    "mnasnet1_0": Backbone(
        partial(_plain, models.mnasnet1_0), _sequence(9, 10, 12, of="layers", activated=True), attrgetter("classifier")
    ),
    "shufflenet_v2_x1_0": Backbone(partial(_plain, models.shufflenet_v2_x1_0), _shufflenet_stages, attrgetter("fc")),
    "vgg16_bn": Backbone(partial(_plain, models.vgg16_bn), _vgg_stages, lambda net: net.classifier[5:]),
}


def backbone(architecture: str) -> Backbone:
    """The network of that name, perhaps with ``synth.variants`` after pluses; ValueError for an unknown one."""
    name, *changes = architecture.split("+")
    if name not in BACKBONES:
        raise ValueError(f"architecture: expected one of {', '.join(BACKBONES)}, got {architecture!r}")
    plain = BACKBONES[name]
    return replace(plain, build=partial(_varied, plain.build, changes)) if changes else plain


def _varied(build: Callable[..., nn.Module], changes: list[str], *arguments: Any) -> nn.Module:
    return variants.vary(build(*arguments), changes)
