"""A convolution that takes the quickest of several equal ways on a CPU."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from mmcv.cnn import CONV_LAYERS
from torch import Tensor, nn

from .winograd import OUT, winograd_conv3x3

FAST_CONV = dict(type='FastConv2d')
# Below, transforming the filters costs more than the products save: channels in × out, and tiles of a batch.
WINOGRAD_CHANNELS, WINOGRAD_TILES = 256 * 256, 128


@CONV_LAYERS.register_module()
class FastConv2d(nn.Conv2d):
    """``nn.Conv2d`` with the same parameters and, to the rounding, the same values.

    On a CPU, oneDNN runs the backward pass of a dilated depthwise convolution in its reference code; it
    becomes an undilated convolution of sub-sampled images. A wide 3×3 convolution takes Winograd's way with a
    quarter of the multiplications. Both are measured in docs/performance.md. Elsewhere, and while a graph
    is recorded, this is ``nn.Conv2d``.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != 'cpu' or torch.compiler.is_compiling() or torch.jit.is_tracing():
            return super().forward(x)
        if not self._keeps_the_size_with_3x3():
            return super().forward(x)
        if self.groups == self.in_channels == self.out_channels and self.dilation[0] > 1:
            return dilated_depthwise(x, self.weight, self.bias, self.dilation[0])
        if self._is_wide(x):
            return winograd_conv3x3(x, self.weight, self.bias)
        return super().forward(x)

    def _keeps_the_size_with_3x3(self) -> bool:
        return (self.kernel_size == (3, 3) and self.stride == (1, 1) and self.padding == self.dilation
                and self.dilation[0] == self.dilation[1] and self.padding_mode == 'zeros')

    def _is_wide(self, x: Tensor) -> bool:
        tiles = x.shape[0] * x.shape[2] * x.shape[3] / OUT ** 2
        return (self.groups == 1 and self.dilation == (1, 1) and tiles >= WINOGRAD_TILES
                and self.in_channels * self.out_channels >= WINOGRAD_CHANNELS
                and x.dtype == self.weight.dtype == torch.float32
                and not torch.is_autocast_enabled('cpu'))


def dilated_depthwise(x: Tensor, weight: Tensor, bias: Tensor | None, dilation: int) -> Tensor:
    """A 3×3 depthwise convolution of dilation d as an undilated one.

    Every d-th row and column make an image of their own in which the taps are neighbours; the d² images are
    convolved as a batch. Rows and columns that fill the last image up are zeros, as the padding is.

    Args:
        x: (B C H W).
        weight: (C 1 3 3).
        bias: (C), or None.

    Returns:
        (B C H W), channels-last: that of ``F.conv2d`` with padding and dilation d, to the rounding.
    """
    batch, channels, height, width = x.shape
    d = dilation
    rows, columns = -(-height // d), -(-width // d)
    images = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, columns * d - width, 0, rows * d - height))
    images = images.reshape(batch, rows, d, columns, d, channels).permute(0, 2, 4, 1, 3, 5)
    images = images.reshape(batch * d * d, rows, columns, channels).permute(0, 3, 1, 2)
    out = F.conv2d(images, weight, bias, padding=1, groups=channels).permute(0, 2, 3, 1)
    out = out.reshape(batch, d, d, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
    out = out.reshape(batch, rows * d, columns * d, channels)[:, :height, :width]
    # a strided result would send the norm that follows down its generic path
    return out.contiguous().permute(0, 3, 1, 2)
