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
        first, second, third = channels
        self.layer1 = nn.Sequential(*(BasicBlock(first, first) for _ in range(blocks)))
        self.layer2 = self._smaller(first, second, blocks)
        self.layer3 = self._smaller(second, third, blocks)
        self.fc = nn.Linear(third, num_classes)

    def _smaller(self, before: int, count: int, blocks: int) -> nn.Sequential:
        first = BasicBlock(before, count, 2, _Shortcut(count - before))
        return nn.Sequential(first, *(BasicBlock(count, count) for _ in range(blocks - 1)))

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
