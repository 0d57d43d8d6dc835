"""The decoder of ProDA (Zhang et al., "Prototypical Pseudo Label Denoising", CVPR 2021)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ..builder import HEADS
from .decode_head import BaseDecodeHead

GROUP_NORM = dict(type='GN', num_groups=32, requires_grad=True)


class SqueezeExcitation(nn.Module):
    """Channels weighted by two layers on their averages (Hu et al., CVPR 2018).

    Args:
        reduction: of the channels between the layers.
    """

    def __init__(self, channels: int, reduction: int):
        super().__init__()
        self.se = nn.Sequential(nn.Linear(channels, channels // reduction), nn.ReLU(inplace=True),
                                nn.Linear(channels // reduction, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → the same."""
        return x * self.se(x.mean(dim=(2, 3)))[..., None, None]


@HEADS.register_module()
class ProDAHead(BaseDecodeHead):
    """Atrous spatial pyramid pooling with weighted channels, and a linear classifier of its features, to
    which ProDA's prototypes belong.

    Parameter names, but for the classifier's, are those of the public checkpoints.

    Args:
        dilations: of the 3×3 branches, beside which there is a 1×1.
        reduction: of the squeeze-excitation.
    """

    def __init__(self, channels: int = 256, dilations: Sequence[int] = (6, 12, 18, 24), reduction: int = 16,
                 norm_cfg: dict = GROUP_NORM, **kwargs):
        super().__init__(channels=channels, norm_cfg=norm_cfg, **kwargs)
        branches = [self._conv(self.in_channels, 1, 1)] + [self._conv(self.in_channels, 3, d)
                                                           for d in dilations]
        width = channels * len(branches)
        self.conv2d_list = nn.ModuleList(
            nn.Sequential(conv, self._norm(), nn.ReLU(inplace=True)) for conv in branches)
        self.bottleneck = nn.Sequential(SqueezeExcitation(width, reduction), self._conv(width, 3, 1),
                                        self._norm())
        self.conv_seg = nn.Conv2d(channels, self.num_classes, 1, bias=False)
        nn.init.normal_(self.conv_seg.weight, std=0.001)

    def _conv(self, in_channels: int, kernel: int, dilation: int) -> nn.Conv2d:
        conv = nn.Conv2d(in_channels, self.channels, kernel, padding=dilation * (kernel // 2),
                         dilation=dilation)
        nn.init.normal_(conv.weight, std=0.01)
        return conv

    def _norm(self) -> nn.Module:
        return build_norm_layer(self.norm_cfg, self.channels)[1]

    def features(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features of the backbone → what is classified, (B channels h w); in training after dropout."""
        x = self._transform_inputs(inputs)
        x = torch.cat([branch(x) for branch in self.conv2d_list], dim=1)
        return self.dropout(self.bottleneck(x))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.classify(self.features(inputs))

    def classify(self, features: Tensor) -> Tensor:
        """What ``features`` gives → logits (B num_classes h w)."""
        return self.conv_seg(features)
