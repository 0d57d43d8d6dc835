"""The convolutions that are quick on a CPU equal torch's own, in value and gradient."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmseg.ops.cpu import winograd
from mmseg.ops.cpu.conv import WINOGRAD_TILES, CPUConv2d, dilated_depthwise
from mmseg.ops.cpu.winograd import winograd_conv3x3

SIZES = [(16, 16), (13, 18), (5, 7)]


def values_and_gradients(function, *inputs):
    """The result and the gradients of a random projection of it."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*inputs)
    torch.manual_seed(1)
    return [out, *torch.autograd.grad((out * torch.randn(out.shape)).sum(), inputs)]


def assert_equal(ours, torchs, tolerance):
    for value, expected in zip(ours, torchs):
        assert value.shape == expected.shape
        assert (value - expected).abs().max() <= tolerance * expected.abs().max()


@pytest.mark.parametrize('size', SIZES)
@pytest.mark.parametrize('dilation', [2, 6, 18])
def test_dilated_depthwise_convolution(size, dilation):
    torch.manual_seed(0)
    inputs = torch.randn(2, 8, *size), torch.randn(8, 1, 3, 3), torch.randn(8)
    ours = values_and_gradients(lambda x, w, b: dilated_depthwise(x, w, b, dilation), *inputs)
    torchs = values_and_gradients(
        lambda x, w, b: F.conv2d(x, w, b, padding=dilation, dilation=dilation, groups=8), *inputs)
    assert_equal(ours, torchs, 3e-6)
    assert ours[0].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize('size', SIZES)
def test_winograd_convolution(size):
    torch.manual_seed(0)
    inputs = torch.randn(2, 24, *size), torch.randn(20, 24, 3, 3), torch.randn(20)
    ours = values_and_gradients(winograd_conv3x3, *inputs)
    assert_equal(ours, values_and_gradients(lambda x, w, b: F.conv2d(x, w, b, padding=1), *inputs), 2e-5)


def test_winograd_in_double_precision_is_the_convolution():
    """Its matrices, and not only its float32 result, are right."""
    b_t, g, a_t = (torch.tensor(m, dtype=torch.float64) for m in (winograd.B_T, winograd.G, winograd.A_T))
    torch.manual_seed(0)
    tile, kernel = (torch.randn(n, n, dtype=torch.float64) for n in (6, 3))
    y = a_t @ ((b_t @ tile @ b_t.t()) * (g @ kernel @ g.t())) @ a_t.t()
    expected = F.conv2d(tile.view(1, 1, 6, 6), kernel.view(1, 1, 3, 3))[0, 0]
    assert torch.allclose(y, expected, rtol=0, atol=1e-13)


def quick(*args, **kwargs) -> CPUConv2d:
    torch.manual_seed(0)
    return CPUConv2d(*args, **kwargs)


@pytest.mark.parametrize('layer, channels', [
    (dict(in_channels=256, out_channels=256, kernel_size=3, padding=1), 256),
    (dict(in_channels=8, out_channels=8, kernel_size=3, padding=6, dilation=6, groups=8), 8),
    (dict(in_channels=8, out_channels=4, kernel_size=3, padding=2, dilation=2), 8),
    (dict(in_channels=8, out_channels=4, kernel_size=3, stride=2, padding=1), 8),
    (dict(in_channels=8, out_channels=4, kernel_size=1), 8),
    (dict(in_channels=8, out_channels=8, kernel_size=3, padding=2, dilation=2, groups=8,
          padding_mode='reflect'), 8)])
def test_every_layer_is_the_plain_one(layer, channels):
    module = quick(**layer)
    x = torch.randn(1, channels, 48, 48)
    assert module.weight.shape == nn.Conv2d(**layer).weight.shape
    expected = nn.Conv2d.forward(module, x)
    assert (module(x) - expected).abs().max() <= 2e-5 * expected.abs().max()


def test_winograd_is_for_wide_layers_on_large_maps(monkeypatch):
    taken = []
    monkeypatch.setattr('mmseg.ops.cpu.conv.winograd_conv3x3', lambda x, *rest: taken.append(tuple(x.shape)))
    module, side = quick(256, 256, 3, padding=1), 4 * int(WINOGRAD_TILES ** 0.5 + 1)
    module(torch.zeros(1, 256, side, side))
    module(torch.zeros(1, 256, 8, 8))
    quick(128, 128, 3, padding=1)(torch.zeros(1, 128, side, side))
    with torch.autocast('cpu', torch.bfloat16):
        module(torch.zeros(1, 256, side, side))
    assert taken == [(1, 256, side, side)]


def test_a_recorded_graph_holds_plain_convolutions():
    module = quick(8, 8, 3, padding=6, dilation=6, groups=8)
    graph = str(torch.jit.trace(module, torch.zeros(1, 8, 12, 12)).graph)
    assert 'aten::_convolution' in graph and 'aten::reshape' not in graph
