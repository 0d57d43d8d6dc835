"""Enlarging is torch's own, in value and gradient; on a CPU its backward pass gets gradients without gaps."""
from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mmseg.models.utils.resize import Resize, resize
from mmseg.ops.cpu.resize import CPUResize

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
            lambda x: CPUResize(align_corners=False)(x, (8, 12)), x, weight)
        theirs = enlarged_beside_another(lambda x: Resize(align_corners=False)(x, (8, 12)), x, weight)
    with_hook, without = gradients.seen
    assert torch.equal(ours, theirs) and torch.equal(with_hook, without)
    assert with_hook.is_contiguous(memory_format=order)
    assert not without.is_contiguous(memory_format=order)


def test_the_size_that_it_has_changes_nothing():
    x = torch.randn(1, 2, 4, 6)
    assert resize(x, (4, 6), mode='bilinear') is x
    assert resize(x, scale_factor=2, mode='bilinear').shape == (1, 2, 8, 12)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('kind', [Resize, CPUResize])
def test_resizing_is_torchs_bilinear_interpolation(kind, align_corners):
    x = torch.randn(1, 2, 4, 6)
    assert torch.equal(kind(align_corners)(x, torch.Size((3, 11))),
                       F.interpolate(x, (3, 11), mode='bilinear', align_corners=align_corners))
    assert kind(align_corners)(x, (4, 6)) is x
