"""The residual networks for CIFAR of He et al. 2016, section 4.2, such as ResNet-56.

Public weights for CIFAR-10 (93.4 %, BSD licence) lie in https://github.com/akamaster/pytorch_resnet_cifar10 under
``pretrained_models``; ``training.convert`` reads them.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock


class CifarResNet(nn.Module):
    """Three stages of ``blocks`` residual blocks after a 3x3 stem; channel counts for each stage and the last layer."""

    def __init__(self, blocks: int, channels: tuple[int, int, int], num_classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU(inplace=True)
        before = channels[0]
        for index, count in enumerate(channels):
            shortcut = None if index == 0 else _Shortcut(count - before)
            first = BasicBlock(before, count, stride=1 + (index > 0), downsample=shortcut)
            others = (BasicBlock(count, count) for _ in range(blocks - 1))
            self.add_module(f"layer{index + 1}", nn.Sequential(first, *others))
            before = count
        self.fc = nn.Linear(before, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(x.mean((2, 3)))


class _Shortcut(nn.Module):
    """Every other row and column, with ``more`` channels of zeros: it has no weights."""

    def __init__(self, more: int):
        super().__init__()
        self.before, self.after = more // 2, more - more // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.before, self.after))
