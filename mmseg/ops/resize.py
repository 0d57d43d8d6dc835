from __future__ import annotations

import functools
from collections.abc import Sequence

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


def enlarged_pointwise_conv(levels: Sequence[Tensor], weight: Tensor, size: Sequence[int],
                            align_corners: bool) -> Tensor:
    """A 1×1 convolution of maps that are enlarged bilinearly to one size and concatenated.

    Both are linear, one along the channels, the other along the image, so each map is convolved at its own
    size: of four levels of equal width with strides 4 to 32, a third of the multiplications is left.

    Args:
        levels: (B C_i H_i W_i).
        weight: (O ΣC_i 1 1).
        size: (H W).

    Returns:
        (B O H W).
    """
    parts = weight.split([level.shape[1] for level in levels], dim=1)
    maps = (resize(F.conv2d(level, part), size, mode='bilinear', align_corners=align_corners)
            for level, part in zip(levels, parts))
    return functools.reduce(torch.add, maps)
