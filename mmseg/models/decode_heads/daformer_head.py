"""The context-aware multi-level fusion decoder of DAFormer (Hoyer et al., CVPR 2022, section 3.1)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from torch import Tensor, nn

from mmseg.ops import resize
from mmseg.utils import UserError, did_you_mean
from mmseg.utils.registry import check_keys

from ..builder import HEADS
from ..utils.aspp import ASPPWrapper
from ..utils.isa import ISALayer
from ..utils.mlp import MLP
from .decode_head import BaseDecodeHead


def _mlp(in_channels: int, out_channels: int, align_corners: bool, act_cfg: None = None,
         norm_cfg: None = None) -> nn.Module:
    return MLP(in_channels, out_channels)


def _conv(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    kernel = cfg.pop('kernel_size', 1)
    return ConvModule(in_channels, out_channels, kernel, padding=cfg.pop('padding', kernel // 2), **cfg)


def _sep_conv(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    kernel = cfg.pop('kernel_size', 3)
    return DepthwiseSeparableConvModule(in_channels, out_channels, kernel,
                                        padding=cfg.pop('padding', kernel // 2), **cfg)


def _aspp(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    return ASPPWrapper(in_channels, out_channels, align_corners=align_corners, **cfg)


def _rawconv_and_aspp(in_channels: int, out_channels: int, align_corners: bool, kernel_size: int = 1,
                      **cfg) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2),
                         _aspp(out_channels, out_channels, align_corners, **cfg))


def _isa(in_channels: int, out_channels: int, align_corners: bool, **cfg) -> nn.Module:
    return ISALayer(in_channels, out_channels, **cfg)


def _identity(in_channels: int, out_channels: int, align_corners: bool) -> nn.Module:
    return nn.Identity()


LAYERS = dict(id=_identity, mlp=_mlp, conv=_conv, sep_conv=_sep_conv, aspp=_aspp,
              rawconv_and_aspp=_rawconv_and_aspp, isa=_isa)


def build_layer(in_channels: int, out_channels: int, type: str, align_corners: bool = False,
                **cfg) -> nn.Module:
    """One embedding or fusion layer from its config block.

    Raises:
        UserError: ``type`` is not in ``LAYERS``, or a key does not belong to it.
    """
    if type not in LAYERS:
        raise UserError(f"unknown DAFormerHead layer '{type}': {did_you_mean(type, LAYERS)}")
    try:
        return LAYERS[type](in_channels, out_channels, align_corners, **cfg)
    except TypeError as error:
        raise UserError(f"DAFormerHead layer '{type}': {error}") from error


@HEADS.register_module()
class DAFormerHead(BaseDecodeHead):
    """Embed each level, upsample to the first, concatenate, fuse, classify.

    ``decoder_params`` holds ``embed_dims`` (one number, or one a level), ``embed_cfg``,
    ``embed_neck_cfg`` (of the last level; default ``embed_cfg``) and ``fusion_cfg``.
    """

    def __init__(self, **kwargs):
        super().__init__(input_transform='multiple_select', **kwargs)
        params = self._checked_params(kwargs.get('decoder_params') or {})
        embed_dims = params['embed_dims']
        if isinstance(embed_dims, int):
            embed_dims = [embed_dims] * len(self.in_index)
        neck_cfg = params.get('embed_neck_cfg') or params['embed_cfg']
        last = self.in_index[-1]
        self.embed_layers = nn.ModuleDict({
            str(i): build_layer(channels, dim, align_corners=self.align_corners,
                                **(neck_cfg if i == last else params['embed_cfg']))
            for i, channels, dim in zip(self.in_index, self.in_channels, embed_dims)})
        self.fuse_layer = build_layer(sum(embed_dims), self.channels, align_corners=self.align_corners,
                                      **params['fusion_cfg'])

    @staticmethod
    def _checked_params(params: dict) -> dict:
        known = ('embed_dims', 'embed_cfg', 'embed_neck_cfg', 'fusion_cfg')
        check_keys(params, known, "DAFormerHead's decoder_params")
        for key in ('embed_dims', 'embed_cfg', 'fusion_cfg'):
            if key not in params:
                raise UserError(f"key '{key}' is missing in DAFormerHead's decoder_params")
        return params

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        size = inputs[self.in_index[0]].shape[2:]
        levels = [self._embed(self.embed_layers[str(i)], inputs[i], size) for i in self.in_index]
        fused = torch.cat([self._enlarge(level, size) for level in levels], dim=1)
        if isinstance(self.fuse_layer, ASPPWrapper):
            return self.cls_seg(self.fuse_layer(fused, levels))
        return self.cls_seg(self.fuse_layer(fused))

    def _embed(self, layer: nn.Module, x: Tensor, size: Sequence[int]) -> Tensor:
        """A linear embedding commutes with the interpolation that follows, so it runs on the smaller map;
        other layers see the neighbourhoods of the upsampled one."""
        return layer(x) if isinstance(layer, MLP) else layer(self._enlarge(x, size))

    def _enlarge(self, x: Tensor, size: Sequence[int]) -> Tensor:
        return resize(x, size, mode='bilinear', align_corners=self.align_corners)
