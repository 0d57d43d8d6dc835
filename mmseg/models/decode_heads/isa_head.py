"""The decoder of ISANet (Huang et al., "Interlaced Sparse Self-Attention", 2019)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor

from ..builder import HEADS
from ..utils.isa import SelfAttentionBlock, interlaced_attention
from .decode_head import BaseDecodeHead

KEY_QUERY_CONVS = 2


@HEADS.register_module()
class ISAHead(BaseDecodeHead):
    """Attention between distant positions, then within neighbourhoods, beside the features themselves.

    Args:
        isa_channels: of the keys and queries.
        down_factor: sides (height, width) of a neighbourhood, in positions.
    """

    def __init__(self, isa_channels: int, down_factor: Sequence[int] = (8, 8), **kwargs):
        super().__init__(**kwargs)
        self.down_factor = tuple(down_factor)
        self.in_conv = ConvModule(self.in_channels, self.channels, 3, padding=1, **self.style)
        self.global_relation = SelfAttentionBlock(self.channels, isa_channels, KEY_QUERY_CONVS, **self.style)
        self.local_relation = SelfAttentionBlock(self.channels, isa_channels, KEY_QUERY_CONVS, **self.style)
        self.out_conv = ConvModule(2 * self.channels, self.channels, 1, **self.style)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self.in_conv(self._transform_inputs(inputs))
        context = interlaced_attention(x, self.global_relation, self.local_relation, self.down_factor)
        return self.cls_seg(self.out_conv(torch.cat([context, x], dim=1)))
