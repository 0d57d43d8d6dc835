"""Enlarging is torch's own, in value and gradient; on a CPU its backward pass gets gradients without gaps."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_fast_conv import assert_equal, values_and_gradients
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg.ops import enlarged_pointwise_conv, resize

CHANNELS_LAST, PLAIN = torch.channels_last, torch.contiguous_format


class Gradients(TorchDispatchMode):
    """Keeps what the backward pass of enlarging is given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.upsample_bilinear2d_backward.default:
            self.seen.append(args[0])
        return function(*args, **(kwargs or {}))


def enlarged_beside_another(enlarge, x, weight):
    """Gradient of x, which is enlarged and concatenated with other channels."""
    x = x.detach().requires_grad_()
    other = torch.zeros(len(x), 5, 8, 12).to(memory_format=CHANNELS_LAST if x.stride(1) == 1 else PLAIN)
    (torch.cat([enlarge(x), other], dim=1) * weight).sum().backward()
    return x.grad


@pytest.mark.parametrize('order', [CHANNELS_LAST, PLAIN])
def test_gradients_have_no_gaps_and_are_the_same(order):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, 6).to(memory_format=order)
    weight = torch.randn(2, 8, 8, 12).to(memory_format=order)
    with Gradients() as gradients:
        ours = enlarged_beside_another(
            lambda x: resize(x, (8, 12), mode='bilinear', align_corners=False), x, weight)
        theirs = enlarged_beside_another(
            lambda x: F.interpolate(x, (8, 12), mode='bilinear', align_corners=False), x, weight)
    with_hook, without = gradients.seen
    assert torch.equal(ours, theirs) and torch.equal(with_hook, without)
    assert with_hook.is_contiguous(memory_format=order)
    assert not without.is_contiguous(memory_format=order)


def test_the_size_that_it_has_changes_nothing():
    x = torch.randn(1, 2, 4, 6)
    assert resize(x, (4, 6), mode='bilinear') is x
    assert resize(x, scale_factor=2, mode='bilinear').shape == (1, 2, 8, 12)


@pytest.mark.parametrize('align_corners', [False, True])
def test_pointwise_convolution_of_enlarged_maps(align_corners):
    torch.manual_seed(0)
    levels = torch.randn(2, 3, 8, 12), torch.randn(2, 4, 4, 6), torch.randn(2, 5, 3, 5)
    weight = torch.randn(7, 12, 1, 1)

    def at_full_size(*levels_and_weight):
        *levels, weight = levels_and_weight
        return F.conv2d(torch.cat([F.interpolate(level, (8, 12), mode='bilinear', align_corners=align_corners)
                                   for level in levels], dim=1), weight)

    def ours(*levels_and_weight):
        *levels, weight = levels_and_weight
        return enlarged_pointwise_conv(levels, weight, (8, 12), align_corners)

    assert_equal(values_and_gradients(ours, *levels, weight),
                 values_and_gradients(at_full_size, *levels, weight), 3e-6)
