"""The decoder of UPerNet (Xiao et al., "Unified Perceptual Parsing", ECCV 2018)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from ..builder import HEADS
from .psp_head import PyramidPoolingHead


@HEADS.register_module()
class UPerHead(PyramidPoolingHead):
    """Pyramid pooling of the last level, a feature pyramid over all, and their fusion at the first.

    Args:
        pool_scales: sides of the grids.
    """

    def __init__(self, pool_scales: Sequence[int] = (1, 2, 3, 6), **kwargs):
        super().__init__(**{'input_transform': 'multiple_select', **kwargs})
        *lower, last = self.in_channels
        self._init_pyramid(last, pool_scales)
        self.lateral_convs = nn.ModuleList(ConvModule(c, self.channels, 1, **self.style) for c in lower)
        self.fpn_convs = nn.ModuleList(ConvModule(self.channels, self.channels, 3, padding=1, **self.style)
                                       for _ in lower)
        self.fpn_bottleneck = ConvModule(len(self.in_channels) * self.channels, self.channels, 3, padding=1,
                                         **self.style)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        *lower, last = self._transform_inputs(inputs)
        above = self._context(last)
        levels = [above]
        for i in reversed(range(len(lower))):
            lateral = self.lateral_convs[i](lower[i])
            above = lateral + self.resize(above, lateral.shape[2:])
            levels.insert(0, self.fpn_convs[i](above))
        fused = torch.cat([self.resize(level, levels[0].shape[2:]) for level in levels], dim=1)
        return self.cls_seg(self.fpn_bottleneck(fused))
