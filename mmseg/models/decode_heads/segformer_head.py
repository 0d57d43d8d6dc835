"""The all-MLP decoder of SegFormer (Xie et al., NeurIPS 2021, section 3.2)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmseg.utils import UserError
from mmseg.utils.registry import check_keys

from ..builder import HEADS
from ..utils.mlp import MLP
from .decode_head import BaseDecodeHead

PARAMS = ('embed_dims', 'conv_kernel_size')


@HEADS.register_module()
class SegFormerHead(BaseDecodeHead):
    """Embed each level linearly, upsample to the first, concatenate, fuse, classify.

    ``decoder_params`` holds ``embed_dims`` and ``conv_kernel_size``, that of the fusing convolution
    (default 1). ``conv_seg`` and ``channels`` are in every public checkpoint, and unused.

    Raises:
        UserError: ``decoder_params`` lacks ``embed_dims`` or has an unknown key.
    """

    def __init__(self, **kwargs):
        super().__init__(**{'input_transform': 'multiple_select', **kwargs})
        params = kwargs.get('decoder_params') or {}
        check_keys(params, PARAMS, "SegFormerHead's decoder_params")
        if 'embed_dims' not in params:
            raise UserError("key 'embed_dims' is missing in SegFormerHead's decoder_params")
        embed_dims, kernel = params['embed_dims'], params.get('conv_kernel_size', 1)
        self.linear_c = nn.ModuleDict({str(i): MLP(channels, embed_dims)
                                       for i, channels in zip(self.in_index, self.in_channels)})
        self.linear_fuse = ConvModule(embed_dims * len(self.in_index), embed_dims, kernel,
                                      padding=kernel // 2, **self.style)
        self.linear_pred = nn.Conv2d(embed_dims, self.num_classes, 1)
        # or DistributedDataParallel would wait for its gradient
        self.conv_seg.requires_grad_(False)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        self._check_inputs(inputs)
        size = inputs[self.in_index[0]].shape[2:]
        embedded = [self.resize(self.linear_c[str(i)](inputs[i]), size) for i in self.in_index]
        return self.linear_pred(self.dropout(self.linear_fuse(torch.cat(embedded, dim=1))))
