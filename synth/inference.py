"""Networks for inference: batch norm folded, convolutions packed once for oneDNN, ReLUs and sums inside them.

Outside single precision on the CPU the same modules run as PyTorch runs them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from math import inf
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models import resnet

from synth.backbones import StridedDepthwise


def fold_batch_norm(module: nn.Module) -> None:
    """Replace every convolution that a batch norm follows by one convolution, in place."""
    previous: tuple[str, nn.Module | None] = "", None
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d) and isinstance(previous[1], nn.Conv2d):
            setattr(module, previous[0], fuse_conv_bn_eval(previous[1], child))
            setattr(module, name, nn.Identity())
        else:
            fold_batch_norm(child)
        previous = name, child


def freeze(module: nn.Module) -> nn.Module:
    """``module`` with the faster parts instead of torchvision's, in place where it can; names stay."""
    for name, child in list(module.named_children()):
        setattr(module, name, freeze(child))
    if isinstance(module, nn.Conv2d):
        return Convolution(module)
    if isinstance(module, resnet.BasicBlock | resnet.Bottleneck) and _plain(module):
        return Residual(module)
    if type(module).forward is nn.Sequential.forward:
        return Sequence(OrderedDict((name, child) for name, child in module._modules.items() if child is not None))
    return module


def _plain(block: resnet.BasicBlock | resnet.Bottleneck) -> bool:
    """Whether the block has no parts but convolutions that batch norm was folded into, and ReLUs."""
    return all(
        isinstance(child, Convolution | nn.Identity | nn.ReLU)
        for n, child in block.named_children()
        if n != "downsample"
    )


class Sequence(nn.Sequential):
    """A sequence in which each convolution applies the ReLU that follows it."""

    def forward(self, x: Tensor) -> Tensor:
        layers = [layer for layer in self if not isinstance(layer, nn.Identity)]
        for previous, layer, following in zip([None, *layers], layers, [*layers[1:], None], strict=False):
            if isinstance(layer, Convolution):
                x = layer(x, maximum(following))
            elif not (isinstance(previous, Convolution) and maximum(layer)):
                x = layer(x)
        return x


def maximum(layer: nn.Module | None) -> float:
    """What the ReLU ``layer`` clamps to, 0 if it is none."""
    return 6 if isinstance(layer, nn.ReLU6) else inf if isinstance(layer, nn.ReLU) else 0


class Residual(nn.Module):
    """torchvision's residual block; its convolutions apply the ReLUs, and the last one adds the shortcut."""

    def __init__(self, block: resnet.BasicBlock | resnet.Bottleneck):
        super().__init__()
        for name, child in block.named_children():
            self.add_module(name, child)
        self.downsample = block.downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        *others, last = (child for child in self.children() if isinstance(child, Convolution))
        for convolution in others:
            x = convolution(x, inf)
        return last(x, inf, shortcut)


class Convolution(nn.Conv2d):
    """``conv`` with frozen weights, packed when first used and again when the shape of the input changes."""

    def __init__(self, conv: nn.Conv2d):
        more: list[Any] = [conv.kernel_size, conv.stride, conv.padding, conv.dilation]
        kernel, stride, padding, dilation = more
        super().__init__(
            conv.in_channels, conv.out_channels, kernel, stride, padding, dilation, conv.groups, device="meta"
        )
        self.weight, self.bias = conv.weight, conv.bias
        self.single = isinstance(conv, StridedDepthwise)
        """Whether it computes in single precision under autocast too."""
        self._packed: dict[str, tuple] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_packed": {}}  # packed weights cannot be copied

    def forward(self, x: Tensor, maximum: float = 0, shortcut: Tensor | None = None) -> Tensor:
        """The convolution of ``x``, plus ``shortcut``, clamped to [0, ``maximum``] unless that is 0."""
        if self.single and x.device.type == "cpu":
            x = x.to(self.weight.dtype)
        if self._packable(x):
            return _Packed.apply(x, shortcut, self, maximum)
        x = super().forward(x) if shortcut is None else super().forward(x) + shortcut
        # In bf16 the gradients of these are far faster than that of clamp.
        return F.relu(x, inplace=True) if maximum == inf else F.relu6(x, inplace=True) if maximum else x

    def _packable(self, x: Tensor) -> bool:
        weight = self.weight
        return (
            torch.backends.mkldnn.is_available()
            and x.device.type == weight.device.type == "cpu"
            and x.dtype == weight.dtype == torch.float32
            and not (weight.requires_grad or (torch.is_autocast_enabled("cpu") and not self.single))
        )

    def run(self, x: Tensor, maximum: float, shortcut: Tensor | None) -> Tensor:
        ops, more = torch.ops.mkldnn, (self.padding, self.stride, self.dilation, self.groups)
        weight = self._once("run", x.shape, lambda: ops._reorder_convolution_weight(self.weight, *more, x.shape))
        if shortcut is not None:
            relu = "relu" if maximum else None
            return ops._convolution_pointwise.binary(x, shortcut, weight, self.bias, *more, "add", 1, relu, [], None)
        activation = {0: ("none", [], ""), inf: ("relu", [], ""), 6: ("hardtanh", [0, 6], "")}[maximum]
        return ops._convolution_pointwise(x, weight, self.bias, *more, *activation)

    def run_back(self, gradient: Tensor, shape: torch.Size) -> Tensor:
        """The gradient by the input, of that ``shape``: the transposed convolution of the one by the output."""
        weight, more, phases = self._once("run_back", shape, lambda: self._pack_back(gradient.shape, shape))
        x = torch.ops.mkldnn._convolution_transpose_pointwise(gradient, weight, None, *more, "none", [], "")
        return F.pixel_shuffle(x, phases) if phases > 1 else x

    def _pack_back(self, outer: torch.Size, inner: torch.Size) -> tuple[Tensor, tuple, int]:
        weight: Tensor = self.weight
        padding: Any = self.padding
        stride, phases = self.stride, 1
        if self.in_channels < 8 and stride[0] > 1 and inner[2] % stride[0] == inner[3] % stride[0] == 0:
            # Few channels leave vectors empty: make all phases of the stride at once, as channels (Shi et al. 2016).
            phases = stride[0]
            before = -padding[0] % phases
            weight = F.pad(weight, [before, -(before + weight.shape[-1]) % phases] * 2)
            weight = F.pixel_unshuffle(weight, phases).contiguous(memory_format=torch.channels_last)
            padding, stride = [-(-padding[0] // phases)] * 2, (1, 1)
        extra = [
            inner[i + 2] // phases - ((outer[i + 2] - 1) * stride[i] - 2 * padding[i])
            - self.dilation[i] * (weight.shape[i + 2] - 1) - 1
            for i in range(2)
        ]  # fmt: skip
        more = padding, extra, stride, self.dilation, self.groups
        return torch.ops.mkldnn._reorder_convolution_transpose_weight(weight, *more, outer), more, phases

    def _once(self, name: str, shape: torch.Size, make: Callable):
        """What ``make`` gives for an input of ``shape``; kept until the shape changes."""
        known, packed = self._packed.get(name, (None, None))
        if known != shape:
            packed = make()
            self._packed[name] = shape, packed
        return packed


class _Packed(torch.autograd.Function):
    """``Convolution.run`` and its gradient by the input and the shortcut; of its tensors only the output is kept."""

    @staticmethod
    def forward(ctx, x: Tensor, shortcut: Tensor | None, layer: Convolution, maximum: float) -> Tensor:
        out = layer.run(x, maximum, shortcut)
        ctx.layer, ctx.maximum, ctx.shape, ctx.standard = layer, maximum, x.shape, x.is_contiguous()
        if maximum:
            ctx.save_for_backward(out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor):
        if ctx.maximum:
            gradient = torch.ops.aten.hardtanh_backward(gradient, *ctx.saved_tensors, 0, ctx.maximum)
        x = ctx.layer.run_back(gradient, ctx.shape) if ctx.needs_input_grad[0] else None
        x = x.contiguous() if x is not None and ctx.standard else x
        return x, gradient if ctx.needs_input_grad[1] else None, None, None
