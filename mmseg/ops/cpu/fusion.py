"""DAFormer's decoder with the 1×1 branch of its ASPP computed before the levels are enlarged."""
from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.models.decode_heads.daformer_head import DAFormerHead
from mmseg.models.utils.aspp import ASPPWrapper

from .eager import is_eager_on_cpu

# Weights of a 1×1 convolution; with less, the products saved are worth less than the further calls.
WIDE_POINTWISE = 512 * 256


class CPUDAFormerHead(DAFormerHead):
    """``DAFormerHead`` with the same parameters and, to the rounding, the same values. On a CPU it hands the
    levels to its ASPP beside their concatenation."""

    def fuse(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        if not isinstance(self.fuse_layer, CPUASPPWrapper) or not is_eager_on_cpu(levels[0]):
            return super().fuse(levels, size)
        enlarged = torch.cat([self.resize(level, size) for level in levels], dim=1)
        return self.fuse_layer(enlarged, levels)


class CPUASPPWrapper(ASPPWrapper):
    """``ASPPWrapper`` with the same parameters and, to the rounding, the same values."""

    def forward(self, x: Tensor, levels: Sequence[Tensor] = ()) -> Tensor:
        """(B in_channels H W) → (B channels H W).

        Args:
            levels: the maps that ``x`` is made of, if it is several, enlarged and concatenated, on the CPU.
        """
        if not levels or self.recomputed:
            return super().forward(x)
        branches = [*self.context(x),
                    *(self._pointwise(branch, levels, x.shape[2:]) if is_wide_pointwise(branch) else branch(x)
                      for branch in self.aspp_modules)]
        return self.bottleneck(torch.cat(branches, dim=1))

    def _pointwise(self, branch: ConvModule, levels: Sequence[Tensor], size: torch.Size) -> Tensor:
        out = enlarged_pointwise_conv(levels, branch.conv.weight, size, self.resize)
        out = branch.norm(out) if branch.with_norm else out
        return branch.activate(out) if branch.with_activation else out


def is_wide_pointwise(branch: nn.Module) -> bool:
    """Whether the branch is a 1×1 convolution without bias that gains from being computed level by level."""
    return (isinstance(branch, ConvModule) and branch.conv.kernel_size == (1, 1)
            and branch.conv.bias is None and branch.conv.weight.numel() >= WIDE_POINTWISE)


def enlarged_pointwise_conv(levels: Sequence[Tensor], weight: Tensor, size: Sequence[int],
                            resize: Callable[[Tensor, Sequence[int]], Tensor]) -> Tensor:
    """A 1×1 convolution of maps that are enlarged to one size and concatenated.

    Both are linear, one along the channels, the other along the image, so each map is convolved at its own
    size: of four levels of equal width with strides 4 to 32, a third of the multiplications is left.

    Args:
        levels: (B C_i H_i W_i).
        weight: (O ΣC_i 1 1).
        size: (H W).
        resize: enlarges a map to a size, linearly.

    Returns:
        (B O H W).
    """
    parts = weight.split([level.shape[1] for level in levels], dim=1)
    maps = (resize(F.conv2d(level, part), size) for level, part in zip(levels, parts))
    return functools.reduce(torch.add, maps)
