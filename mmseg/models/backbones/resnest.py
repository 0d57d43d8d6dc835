"""ResNeSt (Zhang et al., "ResNeSt: Split-Attention Networks", 2020)."""
from __future__ import annotations

import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from ..builder import BACKBONES
from .resnet import ResidualBlock, ResNetV1d

MIN_ATTENTION_CHANNELS = 32


class SplitAttentionConv2d(nn.Module):
    """A 3×3 convolution into ``radix`` groups of maps, which are then weighted, channel by channel, by
    attention computed from their sum's global average (ResNeSt, section 3.1).

    The convolution is followed by a norm and ReLU; the output needs none.
    """

    def __init__(self, in_channels: int, channels: int, stride: int, dilation: int, groups: int, radix: int,
                 reduction_factor: int, norm_cfg: dict):
        super().__init__()
        self.radix, self.groups = radix, groups
        inner = max(in_channels * radix // reduction_factor, MIN_ATTENTION_CHANNELS)
        self.conv = nn.Conv2d(in_channels, channels * radix, 3, stride, dilation, dilation, groups * radix,
                              bias=False)
        self.norm0_name, norm = build_norm_layer(norm_cfg, channels * radix, postfix=0)
        self.add_module(self.norm0_name, norm)
        self.fc1 = nn.Conv2d(channels, inner, 1, groups=groups)
        self.norm1_name, norm = build_norm_layer(norm_cfg, inner, postfix=1)
        self.add_module(self.norm1_name, norm)
        self.fc2 = nn.Conv2d(inner, channels * radix, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        """(B in_channels H W) → (B channels H/stride W/stride)."""
        x = F.relu(getattr(self, self.norm0_name)(self.conv(x)), inplace=True)
        splits = x.unflatten(1, (self.radix, -1))  # (B, radix, C, H, W)
        # the mean of the sum: pooling first leaves only a vector to add up
        context = splits.mean(dim=(3, 4)).sum(dim=1)[..., None, None]
        context = F.relu(getattr(self, self.norm1_name)(self.fc1(context)), inplace=True)
        return (splits * self._attention(self.fc2(context))).sum(dim=1)

    def _attention(self, scores: Tensor) -> Tensor:
        """(B groups·radix·C/groups 1 1) → weights (B radix C 1 1) that sum to 1 over the radix."""
        if self.radix == 1:
            return scores.sigmoid().unsqueeze(1)
        scores = scores.view(len(scores), self.groups, self.radix, -1)
        return scores.softmax(dim=2).transpose(1, 2).flatten(2)[..., None, None]


@BACKBONES.register_module()
class ResNeSt(ResNetV1d):
    """ResNet-D whose 3×3 convolutions have split attention.

    Args:
        groups: of the split-attention convolution ("cardinality").
        base_width: channels of a group in the first stage, if there are groups.
        radix: splits of each group.
        reduction_factor: of the attention's inner channels.
        avg_down_stride: stride by a 3×3 average pooling after the convolution, not in it.
    """

    arch_settings = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}

    def __init__(self, groups: int = 1, base_width: int = 4, radix: int = 2, reduction_factor: int = 4,
                 avg_down_stride: bool = True, **kwargs):
        self.groups, self.base_width, self.radix = groups, base_width, radix
        self.reduction_factor, self.avg_down_stride = reduction_factor, avg_down_stride
        super().__init__(**kwargs)

    def _make_block(self, in_channels: int, planes: int, stride: int, dilation: int,
                    downsample: nn.Module | None) -> ResidualBlock:
        width, channels = planes, planes * self.expansion
        if self.groups > 1:
            width = planes * self.base_width // self.base_channels * self.groups
        first, second = (1, stride) if self.style == 'pytorch' else (stride, 1)
        pool = None
        if self.avg_down_stride and second > 1:
            pool, second = nn.AvgPool2d(3, second, padding=1), 1
        split_attention = SplitAttentionConv2d(width, width, second, dilation, self.groups, self.radix,
                                               self.reduction_factor, self.norm_cfg)
        convs = [(self._conv(in_channels, width, 1, first), width, True), (split_attention, width, False),
                 (self._conv(width, channels, 1), channels, True)]
        return ResidualBlock(convs, downsample, self.norm_cfg, self.with_cp, pool)
