"""Enlarging whose backward pass is quick on a CPU."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg.models.utils.resize import Resize

from .eager import is_eager_on_cpu


class CPUResize(Resize):
    """``Resize`` with the same values and gradients."""

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        out = super().forward(x, size)
        if out is not x and out.requires_grad and is_eager_on_cpu(out):
            out.register_hook(_without_gaps)
        return out


def _without_gaps(grad: Tensor) -> Tensor:
    """A gradient that is some channels of a wider one, as that of a concatenation is, copied as it lies:
    enlarging's backward pass takes twenty times as long for it on a CPU."""
    dense = any(grad.is_contiguous(memory_format=order)
                for order in (torch.contiguous_format, torch.channels_last))
    return grad if dense else grad.clone()
