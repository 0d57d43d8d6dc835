"""Interlaced sparse self-attention (Huang et al., 2019): attention between distant positions, then
within neighbourhoods."""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn


def _projection(in_channels: int, channels: int, num_convs: int, style: dict) -> nn.Module:
    convs = [ConvModule(in_channels if i == 0 else channels, channels, 1, **style)
             for i in range(num_convs)]
    return convs[0] if num_convs == 1 else nn.Sequential(*convs)


def attend(query: Tensor, key: Tensor, value: Tensor, scale: float | None = None) -> Tensor:
    """Dot-product attention of one head over the positions of maps: queries and keys (B K H W) and values
    (B C H W) → (B C H W). The default ``scale`` is 1/√K."""
    q, k, v = (x.flatten(2).transpose(1, 2).unsqueeze(1) for x in (query, key, value))
    context = F.scaled_dot_product_attention(q, k, v, scale=scale).squeeze(1)
    return context.transpose(1, 2).unflatten(2, query.shape[2:])


class SelfAttentionBlock(nn.Module):
    """Scaled dot-product attention of one head over the positions of a feature map.

    Args:
        channels: of the keys and queries; the values have ``in_channels``.
        num_convs: 1×1 convolutions in the projections of keys and queries.
    """

    def __init__(self, in_channels: int, channels: int, num_convs: int = 1,
                 conv_cfg: dict | None = None, norm_cfg: dict | None = None,
                 act_cfg: dict | None = None):
        super().__init__()
        style = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.key_project = _projection(in_channels, channels, num_convs, style)
        self.query_project = _projection(in_channels, channels, num_convs, style)
        self.value_project = nn.Conv2d(in_channels, in_channels, 1)
        self.output_project = _projection(in_channels, in_channels, 1, style)

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → (B C H W)."""
        context = attend(self.query_project(x), self.key_project(x), self.value_project(x))
        return self.output_project(context)


class ISALayer(nn.Module):
    """Reduce the channels, attend globally at ``down_factor`` strides, then inside each block of that
    size. As a fusion layer it has no residual connection."""

    def __init__(self, in_channels: int, channels: int, isa_channels: int,
                 down_factor: Sequence[int] = (8, 8), in_kernel_size: int = 1,
                 key_query_num_convs: int = 1, conv_cfg: dict | None = None,
                 norm_cfg: dict | None = None, act_cfg: dict | None = None):
        super().__init__()
        style = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.down_factor = tuple(down_factor)
        self.in_conv = ConvModule(in_channels, channels, in_kernel_size, padding=in_kernel_size // 2, **style)
        self.global_relation = SelfAttentionBlock(channels, isa_channels, key_query_num_convs, **style)
        self.local_relation = SelfAttentionBlock(channels, isa_channels, key_query_num_convs, **style)

    def forward(self, x: Tensor) -> Tensor:
        """(B in_channels H W) → (B channels H W)."""
        x = self.in_conv(x)
        return interlaced_attention(x, self.global_relation, self.local_relation, self.down_factor)


def interlaced_attention(x: Tensor, global_relation: nn.Module, local_relation: nn.Module,
                         block: tuple[int, int]) -> Tensor:
    """Apply ``global_relation`` to the grids of positions ``block`` apart, then ``local_relation`` to
    the blocks. (B C H W) → (B C H W); sides that ``block`` does not divide are zero-padded evenly."""
    batch, channels, height, width = x.shape
    rows, cols = math.ceil(height / block[0]), math.ceil(width / block[1])
    pad_h, pad_w = rows * block[0] - height, cols * block[1] - width
    x = F.pad(x, (pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2))
    x = x.view(batch, channels, rows, block[0], cols, block[1])
    # (B, block_h, block_w, C, rows, cols): one image for each offset inside a block
    x = x.permute(0, 3, 5, 1, 2, 4).reshape(-1, channels, rows, cols)
    x = global_relation(x).view(batch, block[0], block[1], channels, rows, cols)
    # (B, rows, cols, C, block_h, block_w): one image for each block
    x = x.permute(0, 4, 5, 3, 1, 2).reshape(-1, channels, *block)
    x = local_relation(x).view(batch, rows, cols, channels, *block)
    x = x.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, rows * block[0], cols * block[1])
    return x[:, :, pad_h // 2:pad_h // 2 + height, pad_w // 2:pad_w // 2 + width]
