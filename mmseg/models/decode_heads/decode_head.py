from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmseg.core.seg import build_pixel_sampler
from mmseg.utils import ConfigError, UserError
from mmseg.utils.ranges import check_range

from ..builder import build_loss
from ..utils.resize import Resize

RELU = dict(type='ReLU')
CROSS_ENTROPY = dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0)


def check_norm(cfg: dict | None, channels: int) -> None:
    """Also a norm that this head does not use has to be one.

    Raises:
        ConfigError: mmcv cannot build it.
    """
    if cfg is None:
        return
    try:
        build_norm_layer(cfg, channels)
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ConfigError(f'decode head: norm_cfg {dict(cfg)} is no norm of {channels} channels: '
                          f'{error}') from error


class BaseDecodeHead(nn.Module, ABC):
    """What all heads share: choice of the features, dropout and classifier, losses.

    Args:
        in_channels: channels of the chosen feature map(s).
        channels: channels in front of the classifier.
        dropout_ratio: of whole channels, in front of the classifier.
        in_index: which feature map(s) of the backbone.
        input_transform: 'multiple_select' hands on a list, 'resize_concat' one map at the size of the
            first, None the one at ``in_index``.
        loss_decode: config of the loss, or a list of them.
        decoder_params: settings of the decoder, read by the heads that have any.
        sampler: config of a pixel sampler, e.g. ``dict(type='OHEMPixelSampler', thresh=0.7)``.
    """

    def __init_subclass__(cls, **kwargs) -> None:
        """Heads written for mmsegmentation may have losses of their own, which nothing would call."""
        super().__init_subclass__(**kwargs)
        for name in ('losses', 'forward_train'):
            if name in vars(cls):
                raise ConfigError(f"decode head {cls.__name__} overrides '{name}': losses are computed from "
                                  "what its training_logits returns, by the losses of loss_decode")

    def __init__(self, in_channels: int | Sequence[int], channels: int, *, num_classes: int,
                 dropout_ratio: float = 0.1, conv_cfg: dict | None = None, norm_cfg: dict | None = None,
                 act_cfg: dict | None = RELU, in_index: int | Sequence[int] = -1,
                 input_transform: str | None = None, loss_decode: dict | Sequence[dict] = CROSS_ENTROPY,
                 decoder_params: dict | None = None, ignore_index: int = 255,
                 sampler: dict | None = None, align_corners: bool = False):
        super().__init__()
        self._init_inputs(in_channels, in_index, input_transform)
        check_range(channels, 'decode head: channels', 1)
        check_range(num_classes, 'decode head: num_classes', 1)
        check_range(dropout_ratio, 'decode head: dropout_ratio', 0, 1)
        check_norm(norm_cfg, channels)
        self.channels, self.num_classes, self.dropout_ratio = channels, num_classes, dropout_ratio
        self.conv_cfg, self.norm_cfg, self.act_cfg = conv_cfg, norm_cfg, act_cfg
        self.ignore_index, self.align_corners = ignore_index, align_corners
        self.resize = Resize(align_corners)
        losses = [loss_decode] if isinstance(loss_decode, dict) else loss_decode
        self.losses_decode = nn.ModuleList(build_loss(cfg) for cfg in losses)
        self.sampler = None if sampler is None else build_pixel_sampler(sampler, context=self)
        self.conv_seg = nn.Conv2d(channels, num_classes, kernel_size=1)
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        nn.init.zeros_(self.conv_seg.bias)
        self.dropout = nn.Dropout2d(dropout_ratio) if dropout_ratio > 0 else nn.Identity()

    @property
    def style(self) -> dict:
        """What the convolutions of a head have in common."""
        return dict(conv_cfg=self.conv_cfg, norm_cfg=self.norm_cfg, act_cfg=self.act_cfg)

    def _init_inputs(self, in_channels, in_index, input_transform) -> None:
        if input_transform not in (None, 'multiple_select', 'resize_concat'):
            raise UserError(f"decode head: input_transform '{input_transform}', expected multiple_select, "
                            'resize_concat or None')
        several = input_transform is not None
        if several and (not isinstance(in_channels, Sequence) or not isinstance(in_index, Sequence)
                        or len(in_channels) != len(in_index)):
            raise UserError(f'decode head: in_channels {in_channels} and in_index {in_index} must be lists '
                            f"of the same length with input_transform '{input_transform}'")
        if not several and not (isinstance(in_channels, int) and isinstance(in_index, int)):
            raise UserError(f'decode head: in_channels {in_channels} and in_index {in_index} must be single '
                            'numbers without input_transform')
        self.input_transform, self.in_index = input_transform, in_index
        # of each feature map that is chosen: which one, and its channels
        self._chosen = tuple(zip(in_index, in_channels)) if several else ((in_index, in_channels),)
        self.in_channels = sum(in_channels) if input_transform == 'resize_concat' else in_channels

    def _check_inputs(self, inputs: Sequence[Tensor]) -> None:
        """
        Raises:
            ConfigError: the encoder has no such feature map, or one of other channels.
        """
        if isinstance(inputs, Tensor):
            raise ConfigError('the encoder returns a tensor, expected a list of feature maps (B C h w), fine '
                              'ones first')
        found = [x.shape[1] for x in inputs]
        for index, channels in self._chosen:
            if not -len(found) <= index < len(found):
                raise ConfigError(f'decode head: in_index {index}, but the encoder gives {len(found)} '
                                  f'feature maps')
            if found[index] != channels:
                raise ConfigError(f'decode head: in_channels is {channels} for in_index {index}, but the '
                                  f'encoder gives '
                                  f'{found[index]} channels there (of {found})')

    def _transform_inputs(self, inputs: Sequence[Tensor]) -> Tensor | list[Tensor]:
        self._check_inputs(inputs)
        if self.input_transform is None:
            return inputs[self.in_index]
        chosen = [inputs[i] for i in self.in_index]
        if self.input_transform == 'multiple_select':
            return chosen
        return torch.cat([self.resize(x, chosen[0].shape[2:]) for x in chosen], dim=1)

    @abstractmethod
    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Features of the backbone → logits (B num_classes h w) at the head's own resolution."""

    def cls_seg(self, feat: Tensor) -> Tensor:
        return self.conv_seg(self.dropout(feat))

    def upsample(self, seg_logit: Tensor, size: Sequence[int]) -> Tensor:
        """Logits at ``size`` (H W). They are at least float32, and so are the losses on them."""
        seg_logit = seg_logit.to(torch.promote_types(seg_logit.dtype, torch.float32))
        return self.resize(seg_logit, size)

    def training_logits(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """All outputs that training supervises, at the head's resolution, by the prefix of their names in
        the log. The first is the prediction; it has no prefix where it is the only one."""
        return {'': self(inputs)}

    def forward_test(self, inputs: Sequence[Tensor], img_metas: Sequence[dict],
                     test_cfg: dict | None = None) -> Tensor:
        return self(inputs)
