"""The products that are quick on a CPU equal torch's own, in value and gradient."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from test_cpu_conv import assert_equal, values_and_gradients
from torch import nn

from mmseg.ops.cpu import linear as module
from mmseg.ops.cpu.conv import CPUConv2d, patch_conv
from mmseg.ops.cpu.linear import HAS_ONEDNN, CPULinear, linear
from mmseg.ops.cpu.winograd import winograd_conv3x3

needs_onednn = pytest.mark.skipif(not HAS_ONEDNN, reason='needs oneDNN')


@needs_onednn
@pytest.mark.parametrize('outputs', [24, 48])
@pytest.mark.parametrize('shape', [(5,), (2, 7), (2, 3, 4)])
def test_linear(shape, outputs):
    torch.manual_seed(0)
    inputs = torch.randn(*shape, 40), torch.randn(outputs, 40), torch.randn(outputs)
    assert_equal(values_and_gradients(linear, *inputs), values_and_gradients(F.linear, *inputs), 3e-6)
    assert_equal(values_and_gradients(linear, *inputs[:2]), values_and_gradients(F.linear, *inputs[:2]), 3e-6)
    with torch.no_grad():
        assert_equal([linear(*inputs)], [F.linear(*inputs)], 3e-6)


@needs_onednn
def test_gradients_of_what_is_needed_only():
    x, weight = torch.randn(3, 8), torch.randn(4, 8, requires_grad=True)
    linear(x, weight).sum().backward()
    assert x.grad is None and weight.grad.shape == (4, 8)
    frozen = weight.detach()
    x.requires_grad_()
    linear(x, frozen, torch.zeros(4)).sum().backward()
    assert frozen.grad is None and torch.allclose(x.grad, frozen.sum(0).expand(3, 8), atol=1e-5)


@needs_onednn
@pytest.mark.parametrize('size', [(8, 12), (9, 7)])
def test_patches(size):
    """Also where the image is no whole number of them."""
    torch.manual_seed(0)
    inputs = torch.randn(2, 6, *size), torch.randn(10, 6, 2, 2), torch.randn(10)
    assert_equal(values_and_gradients(patch_conv, *inputs),
                 values_and_gradients(lambda x, w, b: F.conv2d(x, w, b, stride=2), *inputs), 3e-6)


@needs_onednn
def test_results_can_be_changed_in_place():
    weight = torch.randn(4, 8, requires_grad=True)
    image, filters = torch.randn(1, 2, 4, 4), weight.view(4, 2, 2, 2)
    kernels = torch.randn(4, 2, 3, 3, requires_grad=True)
    for out in (linear(torch.randn(2, 3, 8), weight), patch_conv(image, filters, None),
                winograd_conv3x3(image, kernels)):
        F.relu(out, inplace=True).sum().backward()


@pytest.fixture
def calls(monkeypatch):
    """The number of products of oneDNN."""
    made, product = [], module._product
    monkeypatch.setattr(module, '_product', lambda *args: made.append(1) or product(*args))
    return made


@needs_onednn
def test_which_layers_are_wide(calls):
    for layer, image in ((CPULinear(320, 320), torch.randn(1, 320)),
                         (CPULinear(319, 320), torch.randn(1, 319)),
                         (CPULinear(128, 320), torch.randn(2, 512, 128)),
                         (CPULinear(128, 320), torch.randn(1, 1023, 128)),
                         (CPULinear(127, 320), torch.randn(1, 1024, 127)),
                         (CPUConv2d(80, 320, 2, 2), torch.randn(1, 80, 4, 4)),
                         (CPUConv2d(320, 320, 1), torch.randn(1, 320, 4, 4)),
                         (CPUConv2d(80, 320, 2, 1), torch.randn(1, 80, 4, 4)),
                         (CPUConv2d(80, 320, 2, 2, groups=2), torch.randn(1, 80, 4, 4))):
        layer(image)
    assert len(calls) == 3


@needs_onednn
def test_elsewhere_it_is_torchs_layer(calls):
    layer = CPULinear(320, 320)
    x = torch.randn(1, 320)
    with torch.autocast('cpu', torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16
    assert layer.double()(x.double()).dtype == torch.float64
    traced = torch.jit.trace(layer.float(), x, check_trace=False)
    assert 'linear' in str(traced.graph) and not calls
    assert CPULinear(320, 320).to('meta')(x.to('meta')).shape == (1, 320) and not calls
    assert isinstance(layer, nn.Linear)
