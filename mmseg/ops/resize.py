from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize(input: Tensor, size: tuple[int, int] | None = None, scale_factor: float | None = None,
           mode: str = 'nearest', align_corners: bool | None = None) -> Tensor:
    """Interpolate (B C H W) to ``size`` (H W); the input itself where there is nothing to do."""
    if size is not None:
        size = (int(size[0]), int(size[1]))
        if size == tuple(input.shape[2:]):
            return input
    return F.interpolate(input, size, scale_factor, mode, align_corners)
