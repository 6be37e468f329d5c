"""Changes of a ResNet that an architecture may name after a plus, such as "resnet18+blur+silu"."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet


def conv_stem(net: ResNet) -> None:
    """Three 3x3 convolutions instead of the 7x7 one (Xiao et al. 2021), where there is one."""
    if net.conv1.kernel_size != (7, 7):
        return
    channels = net.conv1.out_channels
    half = max(8, channels // 2)
    layers: list[nn.Module] = []
    for inner, outer, stride in ((3, half, 2), (half, half, 1)):
        layers += [nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(inplace=True)]
    layers.append(nn.Conv2d(half, channels, 3, 1, 1, bias=False))
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    net.conv1 = nn.Sequential(*layers)


def blur(net: ResNet) -> None:
    """A binomial filter before every reduction of the resolution after the first convolution (Zhang 2019)."""
    if isinstance(net.maxpool, nn.MaxPool2d):
        net.maxpool = nn.Sequential(nn.MaxPool2d(3, 1, 1), Blur())
    for block in (m for m in net.modules() if isinstance(m, BasicBlock | Bottleneck)):
        before, after = ("conv1", "conv2") if isinstance(block, BasicBlock) else ("conv2", "conv3")
        strided = getattr(block, before)
        if strided.stride == (2, 2):
            strided.stride = 1, 1
            setattr(block, after, nn.Sequential(Blur(), getattr(block, after)))
            assert block.downsample is not None
            shortcut, norm = block.downsample
            shortcut.stride = (1, 1)
            block.downsample = nn.Sequential(Blur(), shortcut, norm)


def silu(net: ResNet) -> None:
    """SiLU instead of ReLU (Xie et al. 2020), except in the last block, whose output is not negative."""
    last = net.layer4[-1]
    for module in net.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU) and module is not last:
                setattr(module, name, nn.SiLU(inplace=True))


class Blur(nn.Module):
    """A 3x3 binomial filter with stride 2: (N, C, H, W) -> (N, C, H / 2, W / 2); the border is repeated.

    Two means of 2x2 pixels one after another, which is the same and half as long as a convolution in bf16 on the CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.avg_pool2d(x, 2, 1, padding=1, count_include_pad=False), 2, 2)


VARIANTS: dict[str, Callable[[ResNet], None]] = {"convstem": conv_stem, "blur": blur, "silu": silu}


def vary(net: nn.Module, names: list[str]) -> nn.Module:
    """``net`` with the changes ``names``, in place; ValueError for an unknown one, or for a network of another kind."""
    for name in names:
        if name not in VARIANTS or not isinstance(net, ResNet):
            possible = f"a ResNet with one of {', '.join(VARIANTS)}"
            raise ValueError(f"architecture: expected {possible} after the plus, got {name!r} for {type(net).__name__}")
        VARIANTS[name](net)
    return net
