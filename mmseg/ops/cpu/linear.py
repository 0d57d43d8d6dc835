"""A linear layer whose products are oneDNN's on a CPU."""
from __future__ import annotations

import platform
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .eager import is_eager_float32_on_cpu

# oneDNN's products are quicker from so many channels, in and out; for narrower layers, from so many rows.
WIDE, NARROW, MANY_ROWS = 320, 128, 1024
HAS_ONEDNN = (platform.machine() in ('x86_64', 'AMD64') and torch.backends.mkldnn.is_available()
              and hasattr(torch.ops.mkldnn, '_linear_pointwise'))


class CPULinear(nn.Linear):
    """``nn.Linear`` with the same parameters and, to the rounding, the same values.

    A pass uses each weight of a deep network once, so it comes from memory, and there oneDNN's products with
    a few hundred tokens are quicker than MKL's, which torch calls (docs/performance.md).
    """

    def forward(self, x: Tensor) -> Tensor:
        return (linear if is_wide_linear(x, self.weight) else F.linear)(x, self.weight, self.bias)


def is_wide_linear(x: Tensor, weight: Tensor) -> bool:
    """Whether ``linear`` is quicker than ``F.linear``, with a weight (O C) or one that is flattened to it."""
    if not HAS_ONEDNN or not is_eager_float32_on_cpu(x, weight):
        return False
    inputs = weight.numel() // len(weight)
    return min(len(weight), inputs) >= (NARROW if x.numel() >= MANY_ROWS * inputs else WIDE)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``F.linear``, (… C), (O C) and (O) → (… O), float32 on the CPU."""
    # rows, and shaped outside: what a Function returns as a view cannot be changed in place
    rows = x.reshape(-1, x.shape[-1])
    out = (_Linear.apply if torch.is_grad_enabled() else _product)(rows, weight, bias)
    return out.view(*x.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    """y = x Wᵀ + b of (N C) with W (O C)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (_product(grad, weight.t(), None) if of_x else None,
                _gradient_of_weight(grad, x) if of_weight else None,
                grad.sum(0) if of_bias else None)


def _gradient_of_weight(grad: Tensor, x: Tensor) -> Tensor:
    """(N O) and (N C) → (O C). Of its two factors MKL wants the longer one first, oneDNN second."""
    return grad.t() @ x if grad.shape[1] >= x.shape[1] else _product(grad.t(), x.t(), None)


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, 'none', [], '')
