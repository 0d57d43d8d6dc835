from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .eager import is_eager_on_cpu


def resize(input: Tensor, size: tuple[int, int] | None = None, scale_factor: float | None = None,
           mode: str = 'nearest', align_corners: bool | None = None) -> Tensor:
    """Interpolate (B C H W) to ``size`` (H W); the input itself where there is nothing to do."""
    if size is not None:
        size = (int(size[0]), int(size[1]))
        if size == tuple(input.shape[2:]):
            return input
    out = F.interpolate(input, size, scale_factor, mode, align_corners)
    if out.requires_grad and is_eager_on_cpu(out):
        out.register_hook(_without_gaps)
    return out


def _without_gaps(grad: Tensor) -> Tensor:
    """A gradient that is some channels of a wider one, as that of a concatenation is, copied as it lies:
    enlarging's backward pass takes twenty times as long for it on a CPU."""
    dense = any(grad.is_contiguous(memory_format=order)
                for order in (torch.contiguous_format, torch.channels_last))
    return grad if dense else grad.clone()
