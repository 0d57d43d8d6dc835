"""Atrous spatial pyramid pooling (Chen et al., "Rethinking Atrous Convolution", 2017), plain and with
depthwise-separable convolutions (DeepLabV3+, 2018)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmseg.ops import FAST_CONV, enlarged_pointwise_conv, resize

# Weights of a 1×1 convolution; with less, the products saved are worth less than the further calls.
WIDE_POINTWISE = 512 * 256


class ASPPModule(nn.ModuleList):
    """Parallel convolutions at several dilations; a dilation of 1 is a 1×1 convolution."""

    def __init__(self, dilations: Sequence[int], in_channels: int, channels: int,
                 conv_cfg: dict | None = None, norm_cfg: dict | None = None,
                 act_cfg: dict | None = None):
        style = dict(conv_cfg=conv_cfg or FAST_CONV, norm_cfg=norm_cfg, act_cfg=act_cfg)
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
        style = {**style, 'conv_cfg': FAST_CONV}
        return DepthwiseSeparableConvModule(in_channels, channels, 3, dilation=dilation, padding=dilation,
                                            **style)


def image_pooling(in_channels: int, channels: int, **style) -> nn.Sequential:
    """The branch of global average pooling: (B in_channels H W) → (B channels 1 1)."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), ConvModule(in_channels, channels, 1, **style))


class ASPPWrapper(nn.Module):
    """ASPP as the fusion layer of a decoder (DAFormer, section 3.1).

    Args:
        sep: depthwise-separable dilated convolutions.
        pool: add a branch of global average pooling.
        context_cfg: add a branch built by ``build_layer`` from this config.
    """

    def __init__(self, in_channels: int, channels: int, sep: bool, dilations: Sequence[int], pool: bool,
                 norm_cfg: dict | None, act_cfg: dict | None, align_corners: bool,
                 context_cfg: dict | None = None):
        super().__init__()
        self.align_corners = align_corners
        style = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        branches = len(dilations)
        self.image_pool = None
        if pool:
            self.image_pool = image_pooling(in_channels, channels, **style)
            branches += 1
        self.context_layer = None
        if context_cfg is not None:
            from ..decode_heads.daformer_head import build_layer
            self.context_layer = build_layer(in_channels, channels, align_corners=align_corners,
                                             **context_cfg)
            branches += 1
        aspp = DepthwiseSeparableASPPModule if sep else ASPPModule
        self.aspp_modules = aspp(dilations, in_channels, channels, **style)
        self.bottleneck = ConvModule(branches * channels, channels, 3, padding=1, conv_cfg=FAST_CONV, **style)

    def forward(self, x: Tensor, levels: Sequence[Tensor] = ()) -> Tensor:
        """(B in_channels H W) → (B channels H W).

        Args:
            levels: the maps that ``x`` is made of, if it is several, enlarged and concatenated.
        """
        branches = []
        if self.image_pool is not None:
            branches.append(resize(self.image_pool(x), x.shape[2:], mode='bilinear',
                                   align_corners=self.align_corners))
        if self.context_layer is not None:
            branches.append(self.context_layer(x))
        branches.extend(self._pointwise(branch, levels, x.shape[2:])
                        if levels and is_wide_pointwise(branch) else branch(x)
                        for branch in self.aspp_modules)
        return self.bottleneck(torch.cat(branches, dim=1))

    def _pointwise(self, branch: ConvModule, levels: Sequence[Tensor], size: torch.Size) -> Tensor:
        out = enlarged_pointwise_conv(levels, branch.conv.weight, size, self.align_corners)
        out = branch.norm(out) if branch.with_norm else out
        return branch.activate(out) if branch.with_activation else out


def is_wide_pointwise(branch: nn.Module) -> bool:
    """Whether the branch is a 1×1 convolution without bias that gains from being computed level by level."""
    return (isinstance(branch, ConvModule) and branch.conv.kernel_size == (1, 1)
            and branch.conv.bias is None and branch.conv.weight.numel() >= WIDE_POINTWISE)
