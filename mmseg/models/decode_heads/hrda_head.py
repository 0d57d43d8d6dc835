"""The head of HRDA (Hoyer et al., ECCV 2022; lhoyer/HRDA c370b5b): one decoder for the whole image at low
resolution and for parts of it at high resolution, and the attention that fuses them."""
from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import accepted_keys, check_keys, find_type

from ..builder import HEADS, build_head
from ..output import Area, HeadOutput
from ..utils.resize import Resize

# Pixels of the image to one of the logits, on the encoders that these heads are used with.
OUTPUT_STRIDES = dict(DAFormerHead=4, SegFormerHead=4, DLV2Head=8)


@dataclass(frozen=True)
class FusedLogits:
    """All in float32 or more, of an image (B 3 H W) with context at scale s and output stride o.

    Args:
        fused: (B C H/o W/o).
        context: of the whole image, times 1 − attention (B C H·s/o W·s/o).
        detail: of the detail's area (B C h/o w/o).
        attention: a as it was before the area was cut out of it, 0–1 (B C H·s/o W·s/o), or of one channel.
    """

    fused: Tensor
    context: Tensor
    detail: Tensor
    attention: Tensor


@HEADS.register_module()
class HRDAHead(nn.Module):
    """Two decoders of the same features: one for classes and, for the context, one for the attention.

    All other keys are those of ``single_scale_head``, whose losses and pixel sampler all outputs take.

    Args:
        single_scale_head: type of the decoders.
        hr_loss_weight, lr_loss_weight: λ_d and λ_c, the share of the losses on the detail, and on the context
            after it was multiplied by 1 − attention. The fused logits have the rest, 1 − λ_d − λ_c.
        attention_embed_dim: width of the attention's decoder (DAFormerHead, SegFormerHead).
        attention_classwise: an attention for each class; otherwise one for all.
        fixed_attention: 0–1, in place of the learned one: 0 is the context alone, 1 the detail.
        output_stride: o, pixels of the image to one of the logits. Known of DAFormerHead, SegFormerHead (4)
            and DLV2Head (8).

    Raises:
        ConfigError: an unknown key, a share out of its range, or no ``output_stride`` of another head.
    """

    hands_keys_on = True

    def __init__(self, single_scale_head: str, hr_loss_weight: float = 0.0, lr_loss_weight: float = 0.0,
                 attention_embed_dim: int = 256, attention_classwise: bool = True,
                 fixed_attention: float | None = None, output_stride: int | None = None, **head: Any):
        super().__init__()
        head = dict(head, type=single_scale_head)
        kind = find_type(head, HEADS)
        check_keys(head, {*inspect.signature(HRDAHead).parameters, 'type', *(accepted_keys(kind) or head)},
                   f'decode_head (HRDAHead and {kind.__name__})')
        check_range(hr_loss_weight, 'decode_head.hr_loss_weight', 0, 1)
        check_range(lr_loss_weight, 'decode_head.lr_loss_weight', 0, 1 - hr_loss_weight)
        check_range(attention_embed_dim, 'decode_head.attention_embed_dim', 1)
        if fixed_attention is not None:
            check_range(fixed_attention, 'decode_head.fixed_attention', 0, 1)
        self.hr_loss_weight, self.lr_loss_weight = hr_loss_weight, lr_loss_weight
        self.fixed_attention = fixed_attention
        self.output_stride = output_stride or OUTPUT_STRIDES.get(kind.__name__)
        if self.output_stride is None:
            raise ConfigError('decode_head.output_stride is missing: pixels of the image to one of the '
                              f'logits of {kind.__name__}')
        self.head = build_head(head)
        self.num_classes, self.ignore_index = self.head.num_classes, self.head.ignore_index
        self.align_corners, self.resize = self.head.align_corners, Resize(self.head.align_corners)
        if fixed_attention is None:
            channels = self.num_classes if attention_classwise else 1
            self.scale_attention = build_head(attention_cfg(head, attention_embed_dim, channels))

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Both decoders, in place."""
        for decoder in {self.head, getattr(self, 'scale_attention', self.head)}:
            decoder.compile(*args, **kwargs)

    def attention(self, features: Sequence[Tensor], logits: Tensor) -> Tensor:
        """a from the features of the context, whose ``logits`` are (B C h w): (B C h w) or (B 1 h w), 0–1."""
        if self.fixed_attention is not None:
            return torch.full_like(precise(logits[:, :1]), self.fixed_attention)
        return precise(self.scale_attention(features)).sigmoid()

    def forward(self, context: Sequence[Tensor], detail: Sequence[Tensor], area: Area, scale: float,
                size: Sequence[int]) -> FusedLogits:
        """Features of the whole image of ``size`` (H W) at ``scale`` and of its ``area`` → logits, fused."""
        logits = self.head(context)
        return self.fuse(logits, self.attention(context, logits), self.head(detail), area, scale, size)

    def fuse(self, context: Tensor, attention: Tensor, detail: Tensor, area: Area, scale: float,
             size: Sequence[int]) -> FusedLogits:
        """The attention chooses between context and detail; outside of the detail's area it is 0. Products
        are enlarged, not their factors, so a ring around the area is damped: there, the enlarged attention
        meets no detail.

        Args:
            context: logits of the whole image at scale s.
            attention: as ``FusedLogits`` has it.
            detail: logits of ``area``, which is in pixels of the image.
            scale: s.
            size: H and W, multiples of o and o/s.

        Raises:
            ConfigError: the logits are not at ``output_stride``.
        """
        context, detail = precise(context), precise(detail)
        grid = [side // self.output_stride for side in size]
        seen, cells = (area.on_grid(factor / self.output_stride) for factor in (scale, 1))
        self._check_size(context, [round(side * scale) for side in grid])
        self._check_size(detail, [cells.bottom - cells.top, cells.right - cells.left])
        chosen = seen.put(seen.of(attention), context.shape[2:])
        context = (1 - chosen) * context
        enlarge = self.resize
        fused = enlarge(chosen, grid) * cells.put(detail, grid) + enlarge(context, grid)
        return FusedLogits(fused, context, detail, attention)

    def _check_size(self, logits: Tensor, expected: Sequence[int]) -> None:
        if list(logits.shape[2:]) != list(expected):
            raise ConfigError(f'decode_head.output_stride is {self.output_stride}, for which logits of '
                              f'{expected[1]}x{expected[0]} are expected; the head gives '
                              f'{logits.shape[3]}x{logits.shape[2]}')

    @property
    def losses_decode(self) -> nn.ModuleList:
        """Of all outputs, as those of ``head``."""
        return self.head.losses_decode

    @property
    def sampler(self) -> Any:
        """Of the pixels of all outputs, as that of ``head``."""
        return self.head.sampler

    def upsample(self, seg_logit: Tensor, size: Sequence[int]) -> Tensor:
        """Logits at ``size`` (H W), float32 or more."""
        return self.head.upsample(seg_logit, size)

    def training_logits(self, logits: FusedLogits) -> dict[str, Tensor]:
        """All that training supervises, by the prefix of its name in the log, the prediction first."""
        found = {'decode': logits.fused}
        if self.lr_loss_weight:
            found['decode.lr'] = logits.context
        if self.hr_loss_weight:
            found['decode.hr'] = logits.detail
        return found

    def training_outputs(self, logits: FusedLogits, area: Area, size: Sequence[int],
                         shown: Sequence[int]) -> dict[str, HeadOutput]:
        """What training supervises, by the prefix of its name in the log.

        Args:
            area: of the detail, in pixels.
            size: H and W of the image that the logits are of.
            shown: of those, the first rows and columns, which have a label.
        """
        whole = Area(0, size[0], 0, size[1])
        weights = {'decode': 1 - self.hr_loss_weight - self.lr_loss_weight, 'decode.lr': self.lr_loss_weight,
                   'decode.hr': self.hr_loss_weight}
        outputs = {}
        for name, coarse in self.training_logits(logits).items():
            of = area if name == 'decode.hr' else whole
            padded = of.bottom - of.top, of.right - of.left
            enlarged = self.upsample(coarse, padded)[..., :shown[0] - of.top, :shown[1] - of.left]
            outputs[name] = HeadOutput(enlarged, self, coarse, weights[name], of, padded)
        return outputs


def attention_cfg(head: Mapping[str, Any], embed_dim: int, channels: int) -> dict[str, Any]:
    """Config of the attention's decoder: that of the classes with ``channels`` outputs and no losses. Where
    it embeds, it has ``embed_dim`` channels; DAFormer's ASPP becomes SegFormer's 1×1 convolution."""
    cfg = copy.deepcopy({key: value for key, value in head.items() if key not in ('loss_decode', 'sampler')})
    cfg['num_classes'] = channels
    params = cfg.get('decoder_params') or {}
    if 'embed_dims' in params:
        params['embed_dims'] = embed_dim
    if cfg['type'] == 'DAFormerHead':
        cfg['channels'] = embed_dim
        fusion = params.get('fusion_cfg') or {}
        if fusion.get('type') == 'aspp':
            params['fusion_cfg'] = dict(type='conv', kernel_size=1, act_cfg=dict(type='ReLU'),
                                        norm_cfg=fusion.get('norm_cfg'))
    return cfg


def precise(x: Tensor) -> Tensor:
    """In float32 at least."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
