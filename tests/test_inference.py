"""Packed convolutions give what PyTorch's give, values and gradients, whatever the shape, type and layout."""

from __future__ import annotations

import copy
from math import inf

import pytest
import torch
from torch import nn

from synth.inference import Convolution, Sequence, freeze

CASES = [  # channels in and out, side, kernel, stride, groups
    (8, 16, 9, 3, 1, 1),
    (8, 16, 9, 3, 2, 1),
    (8, 16, 8, 3, 2, 1),
    (8, 16, 8, 1, 2, 1),
    (16, 16, 8, 3, 2, 16),
    (3, 8, 16, 7, 2, 1),
    (3, 8, 15, 7, 2, 1),
    (3, 8, 16, 3, 2, 1),
    (3, 8, 6, 3, 1, 1),
]


def convolution(inner: int, outer: int, kernel: int, stride: int, groups: int, layout=torch.channels_last):
    torch.manual_seed(0)
    conv = nn.Conv2d(inner, outer, kernel, stride, kernel // 2, groups=groups).requires_grad_(False)
    return conv.to(memory_format=layout)


def gradients(output: torch.Tensor, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
    weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(1))
    return torch.autograd.grad((output * weight).sum(), inputs)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("maximum", [0, 6, inf])
@pytest.mark.parametrize("case", CASES)
def test_convolution_and_gradient_are_pytorchs(case, maximum, layout):
    inner, outer, side, *shape = case
    conv = convolution(inner, outer, *shape, layout)
    packed = Convolution(conv)
    for batch in (1, 3, 1):
        x = torch.randn(batch, inner, side, side, requires_grad=True)
        expected = conv(x).clamp(0, maximum) if maximum else conv(x)
        output = packed(x, maximum)
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
        (gradient,), wanted = gradients(output, x), gradients(expected, x)
        torch.testing.assert_close((gradient,), wanted, atol=1e-5, rtol=1e-5)
        assert gradient.is_contiguous(), "laid out as the input"


def test_shortcut_is_added_and_gets_its_gradient():
    conv = convolution(8, 8, 3, 1, 1)
    x, shortcut = torch.randn(2, 2, 8, 5, 5).requires_grad_().unbind()
    output, expected = Convolution(conv)(x, inf, shortcut), (conv(x) + shortcut).relu()
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients(output, x, shortcut), gradients(expected, x, shortcut), atol=1e-5, rtol=1e-5)


def test_other_types_copies_and_autocast_run_as_pytorch_runs_them():
    conv = convolution(8, 8, 3, 1, 1)
    packed, x = Convolution(conv), torch.randn(2, 8, 5, 5)
    expected = packed(x)
    again = copy.deepcopy(packed)
    assert torch.equal(again(x), expected)
    assert again.double()(x.double()).dtype == torch.float64
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert packed(x).dtype == torch.bfloat16


def test_sequence_joins_relus_and_parts_of_it_do_not():
    layers = convolution(3, 8, 3, 1, 1), nn.Identity(), nn.ReLU6(), convolution(8, 8, 3, 1, 1)
    plain = nn.Sequential(*layers).eval()
    x = 20 * torch.randn(2, 3, 6, 6)
    expected = [plain[:count](x) for count in range(1, 5)]
    sequence = freeze(plain)
    assert isinstance(sequence, Sequence)
    for count, values in enumerate(expected, start=1):
        torch.testing.assert_close(sequence[:count](x), values, atol=1e-4, rtol=1e-5)
