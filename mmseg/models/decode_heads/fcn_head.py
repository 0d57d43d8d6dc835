"""The decoder of fully convolutional networks (Long et al., CVPR 2015)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.utils import UserError

from ..builder import HEADS
from .decode_head import BaseDecodeHead


@HEADS.register_module()
class FCNHead(BaseDecodeHead):
    """A few convolutions; often an auxiliary head.

    Args:
        num_convs: how many; 0 classifies the features as they are.
        kernel_size, dilation: of the convolutions.
        concat_input: a further convolution sees the input beside their output.
    """

    def __init__(self, num_convs: int = 2, kernel_size: int = 3, concat_input: bool = True, dilation: int = 1,
                 **kwargs):
        super().__init__(**kwargs)
        if num_convs == 0 and self.in_channels != self.channels:
            raise UserError(f'FCNHead: without convolutions, channels {self.channels} must be in_channels '
                            f'{self.in_channels}')
        padding = kernel_size // 2 * dilation
        self.convs = nn.Sequential(*(
            ConvModule(self.in_channels if i == 0 else self.channels, self.channels, kernel_size,
                       padding=padding, dilation=dilation, **self.style) for i in range(num_convs)))
        self.conv_cat = None
        if concat_input:
            self.conv_cat = ConvModule(self.in_channels + self.channels, self.channels, kernel_size,
                                       padding=kernel_size // 2, **self.style)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        x = self._transform_inputs(inputs)
        out = self.convs(x)
        if self.conv_cat is not None:
            out = self.conv_cat(torch.cat([x, out], dim=1))
        return self.cls_seg(out)
