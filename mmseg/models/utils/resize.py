from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def resize(input: Tensor, size: Sequence[int] | None = None, scale_factor: float | None = None,
           mode: str = 'nearest', align_corners: bool | None = None) -> Tensor:
    """Interpolate (B C H W) to ``size`` (H W); the input itself where there is nothing to do."""
    if size is not None:
        size = (int(size[0]), int(size[1]))
        if size == tuple(input.shape[2:]):
            return input
    return F.interpolate(input, size, scale_factor, mode, align_corners)


class Resize(nn.Module):
    """Bilinear interpolation to the size of another map."""

    def __init__(self, align_corners: bool):
        super().__init__()
        self.align_corners = align_corners

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """(B C h w) and ``size`` (H W) → (B C H W)."""
        return resize(x, size, mode='bilinear', align_corners=self.align_corners)
