"""The decoder of DeepLabV2 (Chen et al., TPAMI 2018)."""
from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import initialize
from torch import Tensor

from mmseg.utils import UserError

from ..builder import HEADS
from ..utils.aspp import ASPPModule
from .decode_head import BaseDecodeHead

SMALL_NORMAL = dict(type='Normal', std=0.01, override=dict(name='aspp_modules'))
FIXED = ('channels', 'dropout_ratio', 'norm_cfg', 'act_cfg', 'conv_cfg')


@HEADS.register_module()
class DLV2Head(BaseDecodeHead):
    """The sum of classifiers of different dilations.

    Args:
        dilations: of the 3×3 classifiers.
        init_cfg: how mmcv initialises the head.

    Raises:
        UserError: one of the keys for layers in front of a classifier, which this head does not have.
    """

    def __init__(self, dilations: Sequence[int] = (6, 12, 18, 24), init_cfg: dict = SMALL_NORMAL, **kwargs):
        for key in FIXED:
            if key in kwargs:
                raise UserError(f"DLV2Head has no key '{key}': it classifies the features as they are")
        super().__init__(channels=1, dropout_ratio=0, **kwargs)
        del self.conv_seg  # the branches are the classifiers
        self.aspp_modules = ASPPModule(dilations, self.in_channels, self.num_classes)
        initialize(self, init_cfg)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        return sum(self.aspp_modules(self._transform_inputs(inputs)))
