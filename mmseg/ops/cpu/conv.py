"""A convolution that takes the quickest of several equal ways on a CPU."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .eager import is_eager_float32_on_cpu, is_eager_on_cpu
from .linear import is_wide_linear, linear
from .winograd import OUT, winograd_conv3x3

# Below, transforming the filters costs more than the products save: channels in × out, and tiles of a batch.
WINOGRAD_CHANNELS, WINOGRAD_TILES = 256 * 256, 128


class CPUConv2d(nn.Conv2d):
    """``nn.Conv2d`` with the same parameters and, to the rounding, the same values.

    On a CPU, oneDNN runs the backward pass of a dilated depthwise convolution in its reference code; it
    becomes an undilated convolution of sub-sampled images. A wide 3×3 convolution takes Winograd's way with a
    quarter of the multiplications. A wide one whose patches neither overlap nor leave gaps is a product of
    matrices. All are measured in docs/performance.md.
    """

    def forward(self, x: Tensor) -> Tensor:
        if is_eager_on_cpu(x) and self._has_wide_patches(x):
            return patch_conv(x, self.weight, self.bias)
        if not is_eager_on_cpu(x) or not self._keeps_the_size_with_3x3():
            return super().forward(x)
        if self.groups == self.in_channels == self.out_channels and self.dilation[0] > 1:
            return dilated_depthwise(x, self.weight, self.bias, self.dilation[0])
        if self._is_wide(x):
            return winograd_conv3x3(x, self.weight, self.bias)
        return super().forward(x)

    def _keeps_the_size_with_3x3(self) -> bool:
        return (self.kernel_size == (3, 3) and self.stride == (1, 1) and self.padding == self.dilation
                and self.dilation[0] == self.dilation[1] and self.padding_mode == 'zeros')

    def _has_wide_patches(self, x: Tensor) -> bool:
        return (self.kernel_size == self.stride != (1, 1) and self.padding == (0, 0)
                and self.dilation == (1, 1) and self.groups == 1 and is_wide_linear(x, self.weight))

    def _is_wide(self, x: Tensor) -> bool:
        tiles = x.shape[0] * x.shape[2] * x.shape[3] / OUT ** 2
        return (self.groups == 1 and self.dilation == (1, 1) and tiles >= WINOGRAD_TILES
                and self.in_channels * self.out_channels >= WINOGRAD_CHANNELS
                and is_eager_float32_on_cpu(x, self.weight))


def patch_conv(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """A convolution whose stride is its kernel, as a product of its patches with the filters.

    Args:
        x: (B C H W), best channels-last; what is left of H and W over whole patches is not read.
        weight: (O C h w), best channels-last, then it is not copied.
        bias: (O), or None.

    Returns:
        (B O H//h W//w), channels-last.
    """
    height, width = weight.shape[2:]
    rows, columns = x.shape[2] // height, x.shape[3] // width
    cells = x[:, :, :rows * height, :columns * width].permute(0, 2, 3, 1)
    cells = cells.unflatten(2, (columns, width)).unflatten(1, (rows, height)).transpose(2, 3)
    filters = weight.permute(0, 2, 3, 1).flatten(1)
    return linear(cells.flatten(3), filters, bias).permute(0, 3, 1, 2)


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
    images = _Split.apply(x.permute(0, 2, 3, 1), dilation)
    maps = images.flatten(0, 2).permute(0, 3, 1, 2)
    out = F.conv2d(maps, weight, bias, padding=1, groups=x.shape[1]).permute(0, 2, 3, 1)
    return _Join.apply(out.reshape(images.shape), x.shape[2:]).permute(0, 3, 1, 2)


class _Split(torch.autograd.Function):
    """Image (B H W C) → its sub-sampled images (B d d rows columns C), filled up with zeros. Its transpose
    is :class:`_Join`, and the other way round."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, d: int) -> Tensor:
        ctx.size = image.shape[1:3]
        return split(image, d)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return join(grad, ctx.size), None


class _Join(torch.autograd.Function):
    """Sub-sampled images (B d d rows columns C) → the image of ``size`` (H W) that they come from."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, size: torch.Size) -> Tensor:
        ctx.d = images.shape[1]
        return join(images, size)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return split(grad, ctx.d), None


def split(image: Tensor, d: int) -> Tensor:
    batch, height, width, channels = image.shape
    rows, columns = -(-height // d), -(-width // d)
    images = image.new_empty(batch, d, d, rows, columns, channels)
    for part, of_image in _regions(images, image):
        part.copy_(of_image)
    if height % d:
        images[:, height % d:, :, -1].zero_()
    if width % d:
        images[:, :, width % d:, :, -1].zero_()
    return images


def join(images: Tensor, size: torch.Size) -> Tensor:
    image = images.new_empty(len(images), *size, images.shape[-1])
    for part, of_image in _regions(images, image):
        of_image.copy_(part)
    return image


def _regions(images: Tensor, image: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Views of the same pixels of (B d d rows columns C) and (B H W C): those of whole cells of d×d pixels,
    and those of the cut ones at the right and at the bottom."""
    d = images.shape[1]
    cells = images.permute(0, 3, 1, 4, 2, 5)  # (B rows d columns d C)
    for rows, i, lines in _whole_and_cut(image.shape[1], d):
        for columns, j, dots in _whole_and_cut(image.shape[2], d):
            part = cells[:, rows, :i, columns, :j]
            yield part, image[:, lines, dots].unflatten(2, part.shape[3:5]).unflatten(1, part.shape[1:3])


def _whole_and_cut(length: int, d: int) -> Iterator[tuple[slice, int, slice]]:
    """(cells, pixels of each, their pixels in the image) along a side."""
    whole, rest = divmod(length, d)
    if whole:
        yield slice(whole), d, slice(whole * d)
    if rest:
        yield slice(whole, None), rest, slice(whole * d, None)
