"""Mix Transformer (MiT), the hierarchical encoder of SegFormer.

Written from the description in Xie et al., "SegFormer: Simple and Efficient Design for Semantic
Segmentation with Transformers", NeurIPS 2021, section 3.1 and table 6. Parameter names are those of
public checkpoints. Tokens (B, H·W, C) are kept channels-last throughout, so the depth-wise and
strided convolutions read them as images without a transpose.
"""
from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from mmseg.checkpoint.weights import load_pretrained
from mmseg.utils import DataError
from mmseg.utils.ranges import check_range

from ..builder import BACKBONES
from ..utils.drop_path import DropPath
from .mit_weights import convert_hf_state_dict

# Pixels: the first stage's map, of stride 4, is reduced by convolutions of side 8.
SMALLEST = 4 * (8 - 1) + 1

# Of the blocks and of the norm that ends a stage; all other norms use PyTorch's 1e-5.
BLOCK_NORM_EPS = 1e-6


def tokens_to_image(x_BNC: Tensor, height: int, width: int) -> Tensor:
    """(B, H·W, C) → (B, C, H, W) as a channels-last view."""
    return x_BNC.unflatten(1, (height, width)).permute(0, 3, 1, 2)


def image_to_tokens(x_BCHW: Tensor) -> Tensor:
    """(B, C, H, W) → (B, H·W, C); no copy if the image is channels-last."""
    return x_BCHW.permute(0, 2, 3, 1).flatten(1, 2)


class OverlapPatchEmbed(nn.Module):
    """Overlapping patch merging: a strided convolution, then LayerNorm."""

    def __init__(self, in_channels: int, embed_dim: int, patch_size: int, stride: int):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, embed_dim, patch_size, stride, patch_size // 2)
        self.norm = nn.LayerNorm(embed_dim)

    def forward(self, x: Tensor) -> tuple[Tensor, int, int]:
        x = self.proj(x)
        return self.norm(image_to_tokens(x)), x.shape[2], x.shape[3]


def attend(q: Tensor, k: Tensor, v: Tensor, dropout: float = 0.0, groups: int = 1) -> Tensor:
    """Attention of queries (B h N d) to keys and values (B h M d) → (B h N d).

    Args:
        dropout: of the attention weights, 0–1.
        groups: so many groups of queries go in as a batch, if they divide N; the values are the same. Fused
            kernels cut the backward pass along the keys alone, so few keys leave most of a GPU idle.
    """
    if groups == 1 or q.shape[2] % groups:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    q = q.unflatten(2, (groups, -1)).transpose(1, 2).flatten(0, 1)
    k, v = (x.unsqueeze(1).expand(-1, groups, -1, -1, -1).flatten(0, 1) for x in (k, v))
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout)
    return out.unflatten(0, (-1, groups)).transpose(1, 2).flatten(2, 3)


class EfficientAttention(nn.Module):
    """Multi-head self-attention whose keys and values are spatially reduced by ``sr_ratio`` per side
    (SegFormer, eq. 2). ``query_groups``: see ``attend``."""

    def __init__(self, dim: int, num_heads: int, sr_ratio: int, qkv_bias: bool = True,
                 attn_drop: float = 0.0, proj_drop: float = 0.0, query_groups: int = 1):
        super().__init__()
        self.num_heads, self.query_groups = num_heads, query_groups
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.kv = nn.Linear(dim, dim * 2, bias=qkv_bias)
        self.attn_drop = nn.Dropout(attn_drop)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.sr_ratio = sr_ratio
        if sr_ratio > 1:
            self.sr = nn.Conv2d(dim, dim, sr_ratio, sr_ratio)
            self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        batch, tokens, dim = x.shape
        head_dim = dim // self.num_heads
        if x.dtype == torch.float32:  # once: autocast would cast it for each of the layers that take it
            x = x.to(self.q.weight.dtype)
        context = x
        if self.sr_ratio > 1:
            context = self.norm(image_to_tokens(self.sr(tokens_to_image(x, height, width))))
        q = self.q(x).view(batch, tokens, self.num_heads, head_dim).transpose(1, 2)
        k, v = self.kv(context).view(batch, -1, 2, self.num_heads, head_dim).permute(2, 0, 3, 1, 4)
        dropout = self.attn_drop.p if self.attn_drop.training else 0.0
        out = attend(q, k, v, dropout, self.query_groups)
        return self.proj_drop(self.proj(out.transpose(1, 2).reshape(batch, tokens, dim)))


class DWConv(nn.Module):
    """3×3 depth-wise convolution on tokens: gives the network its sense of position."""

    def __init__(self, dim: int):
        super().__init__()
        self.dwconv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        return image_to_tokens(self.dwconv(tokens_to_image(x, height, width)))


class MixFFN(nn.Module):
    """Linear, depth-wise 3×3, GELU, linear (SegFormer, eq. 3)."""

    def __init__(self, dim: int, hidden_dim: int, drop: float = 0.0):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.dwconv = DWConv(hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = self.drop(F.gelu(self.dwconv(self.fc1(x), height, width)))
        return self.drop(self.fc2(x))


class Block(nn.Module):
    """Pre-norm transformer block with stochastic depth."""

    def __init__(self, dim: int, num_heads: int, mlp_ratio: float, sr_ratio: int, qkv_bias: bool = True,
                 drop: float = 0.0, attn_drop: float = 0.0, drop_path: float = 0.0, query_groups: int = 1):
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=BLOCK_NORM_EPS)
        self.attn = EfficientAttention(dim, num_heads, sr_ratio, qkv_bias, attn_drop, drop, query_groups)
        self.drop_path = DropPath(drop_path)
        self.norm2 = nn.LayerNorm(dim, eps=BLOCK_NORM_EPS)
        self.mlp = MixFFN(dim, int(dim * mlp_ratio), drop)

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        x = x + self.drop_path(self.attn(self.norm1(x), height, width))
        return x + self.drop_path(self.mlp(self.norm2(x), height, width))


def init_transformer_weights(module: nn.Module) -> None:
    """Truncated normal (σ 0.02) for linear layers, fan-out normal for convolutions."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.Conv2d):
        fan_out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@BACKBONES.register_module()
class MixVisionTransformer(nn.Module):
    """Four stages at strides 4, 8, 16 and 32.

    Args:
        in_chans: channels of the input image.
        embed_dims, num_heads, mlp_ratios, depths, sr_ratios: one value a stage.
        drop_rate, attn_drop_rate: dropout after linear layers, and of attention weights.
        drop_path_rate: stochastic depth of the last block; it grows linearly from 0 at the first.
        freeze_patch_embed: keep the first patch embedding fixed.
        with_cp: recompute the blocks in the backward pass to save memory.
        query_groups: of each stage's attention, see ``attend``; for a GPU (docs/performance.md).
        pretrained: checkpoint loaded by ``init_weights`` (its classifier is left out): the authors'
            mit_bN.pth, a SegFormer file or folder of ``transformers``, or 'nvidia/mit-bN' on the hub.
        style: accepted for older configs; only 'pytorch' exists.
    """

    # What a public ImageNet checkpoint holds beyond the encoder.
    pretrained_extras = ('head.',)

    def __init__(self, in_chans: int = 3, embed_dims: Sequence[int] = (64, 128, 256, 512),
                 num_heads: Sequence[int] = (1, 2, 5, 8), mlp_ratios: Sequence[float] = (4, 4, 4, 4),
                 qkv_bias: bool = True, drop_rate: float = 0.0, attn_drop_rate: float = 0.0,
                 drop_path_rate: float = 0.1, depths: Sequence[int] = (3, 4, 6, 3),
                 sr_ratios: Sequence[int] = (8, 4, 2, 1), freeze_patch_embed: bool = False,
                 with_cp: bool = False, pretrained: str | None = None, style: str = 'pytorch',
                 init_cfg: dict | None = None, query_groups: Sequence[int] = (1, 1, 1, 1)):
        super().__init__()
        for stage in range(4):
            check_range(query_groups[stage] if stage < len(query_groups) else None,
                        f'model.backbone.query_groups[{stage}]', 1)
        self.embed_dims, self.depths, self.with_cp = tuple(embed_dims), tuple(depths), with_cp
        self.pretrained = pretrained or (init_cfg or {}).get('checkpoint')
        in_channels = (in_chans, *embed_dims[:-1])
        total = sum(depths)
        rates = [drop_path_rate * i / max(total - 1, 1) for i in range(total)]
        for i in range(4):
            patch, stride = (7, 4) if i == 0 else (3, 2)
            embed = OverlapPatchEmbed(in_channels[i], embed_dims[i], patch, stride)
            first = sum(depths[:i])
            blocks = nn.ModuleList(
                Block(embed_dims[i], num_heads[i], mlp_ratios[i], sr_ratios[i], qkv_bias, drop_rate,
                      attn_drop_rate, rate, query_groups[i]) for rate in rates[first:first + depths[i]])
            setattr(self, f'patch_embed{i + 1}', embed)
            setattr(self, f'block{i + 1}', blocks)
            setattr(self, f'norm{i + 1}', nn.LayerNorm(embed_dims[i], eps=BLOCK_NORM_EPS))
        self.apply(init_transformer_weights)
        # as the tokens are, so that no convolution rearranges its weights in every pass
        self.to(memory_format=torch.channels_last)
        if freeze_patch_embed:
            self.patch_embed1.requires_grad_(False)

    def init_weights(self) -> None:
        """Load ``pretrained`` if there is one."""
        if self.pretrained:
            load_pretrained(self, self.pretrained, extras=self.pretrained_extras,
                            rename=convert_hf_state_dict)

    def _run_stage(self, i: int, x_BCHW: Tensor) -> Tensor:
        x, height, width = getattr(self, f'patch_embed{i + 1}')(x_BCHW)
        for block in getattr(self, f'block{i + 1}'):
            if self.with_cp and x.requires_grad:
                x = checkpoint(block, x, height, width, use_reentrant=False)
            else:
                x = block(x, height, width)
        return tokens_to_image(getattr(self, f'norm{i + 1}')(x), height, width)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image (B 3 H W) → features of the four stages, (B C_i H/2^(i+2) W/2^(i+2)).

        Raises:
            DataError: a side of the image has fewer than SMALLEST pixels.
        """
        if min(x.shape[2:]) < SMALLEST:
            raise DataError(f'an image of {x.shape[3]}x{x.shape[2]} pixels is too small for a MiT encoder, '
                            f'whose '
                            f'smallest side is {SMALLEST} pixels: resize or pad it')
        features = []
        for i in range(4):
            x = self._run_stage(i, x)
            features.append(x)
        return features


def _variant(name: str, embed_dims: Sequence[int], depths: Sequence[int]) -> type:
    """A registered class whose size is fixed and whose other arguments stay free."""

    def __init__(self, **kwargs):  # noqa: N807
        MixVisionTransformer.__init__(self, **{'embed_dims': embed_dims, 'depths': depths, **kwargs})

    doc = f'{name.upper()}: channels {tuple(embed_dims)}, blocks {tuple(depths)} (SegFormer, table 6).'
    cls = type(name, (MixVisionTransformer,), {'__init__': __init__, '__doc__': doc,
                                               '__module__': __name__})
    return BACKBONES.register_module(module=cls)


mit_b0 = _variant('mit_b0', (32, 64, 160, 256), (2, 2, 2, 2))
mit_b1 = _variant('mit_b1', (64, 128, 320, 512), (2, 2, 2, 2))
mit_b2 = _variant('mit_b2', (64, 128, 320, 512), (3, 4, 6, 3))
mit_b3 = _variant('mit_b3', (64, 128, 320, 512), (3, 4, 18, 3))
mit_b4 = _variant('mit_b4', (64, 128, 320, 512), (3, 8, 27, 3))
mit_b5 = _variant('mit_b5', (64, 128, 320, 512), (3, 6, 40, 3))
