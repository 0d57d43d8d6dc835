"""The decoders of DeepLabV3 (Chen et al., "Rethinking Atrous Convolution", 2017) and DeepLabV3+ (Chen et
al., ECCV 2018)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from ..builder import HEADS
from ..utils.aspp import ASPPModule, DepthwiseSeparableASPPModule, image_pooling
from .decode_head import BaseDecodeHead


@HEADS.register_module()
class ASPPHead(BaseDecodeHead):
    """DeepLabV3: convolutions at several dilations beside global pooling, fused by a 3×3 convolution.

    Args:
        dilations: of the branches; 1 is a 1×1 convolution.
    """

    aspp_type: type[ASPPModule] = ASPPModule

    def __init__(self, dilations: Sequence[int] = (1, 6, 12, 18), **kwargs):
        super().__init__(**kwargs)
        self.image_pool = image_pooling(self.in_channels, self.channels, **self.style)
        self.aspp_modules = self.aspp_type(dilations, self.in_channels, self.channels, **self.style)
        self.bottleneck = ConvModule((len(dilations) + 1) * self.channels, self.channels, 3, padding=1,
                                     **self.style)

    def _context(self, x: Tensor) -> Tensor:
        """(B in_channels H W) → (B channels H W)."""
        pooled = self.image_pool(x).expand(-1, -1, *x.shape[2:])
        return self.bottleneck(torch.cat([pooled, *self.aspp_modules(x)], dim=1))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.cls_seg(self._context(self._transform_inputs(inputs)))


@HEADS.register_module()
class DepthwiseSeparableASPPHead(ASPPHead):
    """DeepLabV3+: separable branches, then fusion with the finest features.

    Args:
        c1_in_channels: of the first feature map; 0: it is not used.
        c1_channels: to which it is reduced.
    """

    aspp_type = DepthwiseSeparableASPPModule

    def __init__(self, c1_in_channels: int, c1_channels: int, **kwargs):
        super().__init__(**kwargs)
        self.c1_bottleneck, fused = None, self.channels
        if c1_in_channels > 0:
            self.c1_bottleneck = ConvModule(c1_in_channels, c1_channels, 1, **self.style)
            fused += c1_channels
        style = dict(norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)
        self.sep_bottleneck = nn.Sequential(
            DepthwiseSeparableConvModule(fused, self.channels, 3, padding=1, **style),
            DepthwiseSeparableConvModule(self.channels, self.channels, 3, padding=1, **style))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._context(self._transform_inputs(inputs))
        if self.c1_bottleneck is not None:
            fine = self.c1_bottleneck(inputs[0])
            x = self.resize(x, fine.shape[2:])
            x = torch.cat([x, fine], dim=1)
        return self.cls_seg(self.sep_bottleneck(x))
