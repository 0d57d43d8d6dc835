"""The context-aware multi-level fusion decoder of DAFormer (Hoyer et al., CVPR 2022, section 3.1)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmseg.utils import UserError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys

from ..builder import HEADS
from ..utils.fusion_layers import build_layer
from ..utils.mlp import MLP
from .decode_head import BaseDecodeHead


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
        embed_dims = embed_dims if isinstance(embed_dims, Sequence) else [embed_dims] * len(self.in_index)
        for dim in embed_dims:
            check_range(dim, "DAFormerHead's decoder_params.embed_dims", 1)
        neck_cfg = params.get('embed_neck_cfg') or params['embed_cfg']
        last = self.in_index[-1]
        self.embed_layers = nn.ModuleDict({
            str(i): build_layer(channels, dim, neck_cfg if i == last else params['embed_cfg'],
                                self.align_corners)
            for i, channels, dim in zip(self.in_index, self.in_channels, embed_dims)})
        self.fuse_layer = build_layer(sum(embed_dims), self.channels, params['fusion_cfg'],
                                      self.align_corners)

    @staticmethod
    def _checked_params(params: dict) -> dict:
        known = ('embed_dims', 'embed_cfg', 'embed_neck_cfg', 'fusion_cfg')
        check_keys(params, known, "DAFormerHead's decoder_params")
        for key in ('embed_dims', 'embed_cfg', 'fusion_cfg'):
            if key not in params:
                raise UserError(f"key '{key}' is missing in DAFormerHead's decoder_params")
        return params

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        self._check_inputs(inputs)
        size = inputs[self.in_index[0]].shape[2:]
        levels = [self._embed(self.embed_layers[str(i)], inputs[i], size) for i in self.in_index]
        return self.cls_seg(self.fuse(levels, size))

    def fuse(self, levels: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Embedded levels (B C_i h_i w_i) → (B channels H W)."""
        return self.fuse_layer(torch.cat([self.resize(level, size) for level in levels], dim=1))

    def _embed(self, layer: nn.Module, x: Tensor, size: Sequence[int]) -> Tensor:
        """A linear embedding commutes with the interpolation that follows, so it runs on the smaller map;
        other layers see the neighbourhoods of the upsampled one."""
        return layer(x) if isinstance(layer, MLP) else layer(self.resize(x, size))
