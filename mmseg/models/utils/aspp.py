"""Atrous spatial pyramid pooling (Chen et al., "Rethinking Atrous Convolution", 2017), plain and with
depthwise-separable convolutions (DeepLabV3+, 2018)."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from .resize import Resize


class ASPPModule(nn.ModuleList):
    """Parallel convolutions at several dilations; a dilation of 1 is a 1×1 convolution."""

    def __init__(self, dilations: Sequence[int], in_channels: int, channels: int,
                 conv_cfg: dict | None = None, norm_cfg: dict | None = None,
                 act_cfg: dict | None = None):
        style = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(self._branch(d, in_channels, channels, style) for d in dilations)

    def _branch(self, dilation: int, in_channels: int, channels: int, style: dict) -> nn.Module:
        if dilation == 1:
            return ConvModule(in_channels, channels, 1, **style)
        return ConvModule(in_channels, channels, 3, dilation=dilation, padding=dilation, **style)

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B C H W) → one (B channels H W) a dilation."""
        return [branch(x) for branch in self]


class DepthwiseSeparableASPPModule(ASPPModule):
    """ASPP whose dilated convolutions are depthwise separable."""

    def _branch(self, dilation: int, in_channels: int, channels: int, style: dict) -> nn.Module:
        if dilation == 1:
            return super()._branch(dilation, in_channels, channels, style)
        style = {**style, 'conv_cfg': None}
        return DepthwiseSeparableConvModule(in_channels, channels, 3, dilation=dilation, padding=dilation,
                                            **style)


def image_pooling(in_channels: int, channels: int, **style) -> nn.Sequential:
    """The branch of global average pooling: (B in_channels H W) → (B channels 1 1)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(in_channels, channels, 1, **style))


@contextmanager
def statistics_kept(module: nn.Module) -> Iterator[None]:
    """Inside the block, no BatchNorm in training mode changes its running statistics: what is computed a
    second time counts once."""
    kept = [(one._buffers, dict(one._buffers)) for one in module.modules()
            if isinstance(one, _BatchNorm) and one.training and one.track_running_stats]
    for buffers, own in kept:
        buffers.update({name: buffer.clone() for name, buffer in own.items()})
    try:
        yield
    finally:
        for buffers, own in kept:
            buffers.update(own)


class ASPPWrapper(nn.Module):
    """ASPP as the fusion layer of a decoder (DAFormer, section 3.1).

    Args:
        sep: depthwise-separable dilated convolutions.
        pool: add a branch of global average pooling.
        context_layer: a further branch, (B in_channels H W) → (B channels H W).
        with_cp: recompute all of it in the backward pass to save memory.
    """

    def __init__(self, in_channels: int, channels: int, sep: bool, dilations: Sequence[int], pool: bool,
                 norm_cfg: dict | None, act_cfg: dict | None, align_corners: bool,
                 context_layer: nn.Module | None = None, with_cp: bool = False):
        super().__init__()
        style = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.resize, self.recomputed = Resize(align_corners), with_cp
        self.image_pool = image_pooling(in_channels, channels, **style) if pool else None
        self.context_layer = context_layer
        branches = len(dilations) + bool(pool) + (context_layer is not None)
        aspp = DepthwiseSeparableASPPModule if sep else ASPPModule
        self.aspp_modules = aspp(dilations, in_channels, channels, **style)
        self.bottleneck = ConvModule(branches * channels, channels, 3, padding=1, **style)

    def forward(self, x: Tensor) -> Tensor:
        """(B in_channels H W) → (B channels H W)."""
        if self.recomputed and x.requires_grad:
            return checkpoint(self._fused, x, use_reentrant=False,
                              context_fn=lambda: (nullcontext(), statistics_kept(self)))
        return self._fused(x)

    def _fused(self, x: Tensor) -> Tensor:
        return self.bottleneck(torch.cat([*self.context(x), *self.aspp_modules(x)], dim=1))

    def context(self, x: Tensor) -> list[Tensor]:
        """(B in_channels H W) → (B channels H W) of the pooling and of the context layer, where they are."""
        branches = []
        if self.image_pool is not None:
            branches.append(self.resize(self.image_pool(x), x.shape[2:]))
        if self.context_layer is not None:
            branches.append(self.context_layer(x))
        return branches
