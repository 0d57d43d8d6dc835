"""The decoder of PSPNet (Zhao et al., "Pyramid Scene Parsing Network", CVPR 2017)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ..builder import HEADS
from .decode_head import BaseDecodeHead


class PyramidPooling(nn.ModuleList):
    """Averages over grids of several sizes, reduced."""

    def __init__(self, pool_scales: Sequence[int], in_channels: int, channels: int, **style):
        super().__init__(
            nn.Sequential(nn.AdaptiveAvgPool2d(scale), ConvModule(in_channels, channels, 1, **style))
            for scale in pool_scales)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B in_channels H W) → one (B channels scale scale) a scale."""
        return [pool(x) for pool in self]


class PyramidPoolingHead(BaseDecodeHead):
    """What PSPNet and UPerNet share: pyramid pooling of a map and its fusion by a 3×3 convolution."""

    def _init_pyramid(self, in_channels: int, pool_scales: Sequence[int]) -> None:
        self.psp_modules = PyramidPooling(pool_scales, in_channels, self.channels, **self.style)
        self.bottleneck = ConvModule(in_channels + len(pool_scales) * self.channels, self.channels, 3,
                                     padding=1, **self.style)

    def _context(self, x: Tensor) -> Tensor:
        """(B in_channels H W) → (B channels H W)."""
        pooled = [self.resize(grid, x.shape[2:]) for grid in self.psp_modules(x)]
        return self.bottleneck(torch.cat([x, *pooled], dim=1))


@HEADS.register_module()
class PSPHead(PyramidPoolingHead):
    """Pyramid pooling of one feature map.

    Args:
        pool_scales: sides of the grids.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs):
        super().__init__(**kwargs)
        self._init_pyramid(self.in_channels, pool_scales)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._context(self._transform_inputs(inputs)))
