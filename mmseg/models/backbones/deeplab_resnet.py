"""The residual network of DeepLabV2 (Chen et al., TPAMI 2018) as the methods with a CNN have it: ADVENT, BDL,
FDA, DACS, DANNet and ProDA. Parameter names are those of their public checkpoints."""
from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from mmcv.cnn import build_norm_layer
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.checkpoint.deeplabv2 import own_encoder_names
from mmseg.checkpoint.weights import load_pretrained
from mmseg.utils import ConfigError

from ..builder import BACKBONES
from .resnet import BATCH_NORM, ResNet


@BACKBONES.register_module()
class DeepLabResNet(ResNet):
    """A ResNet of stride 8 whose stem pools in ceil mode: 8n rows of an image give n + 1 rows of features.

    A bottleneck has its stride in the first 1×1 convolution, and all blocks of the last two stages are
    dilated, the first of a stage too.

    Args:
        trained_norms: whose scale and shift are trained: of 'none' (ADVENT, BDL, FDA, DACS), of the 'stem'
            (DANNet), or 'all' (ProDA). In training all norms take the statistics of the batch nevertheless.
        out_norm: a further norm, ``bn_pretrain``, of the last stage's features (ProDA's stages 2 and 3).
        pretrained: checkpoint loaded by ``init_weights``: ImageNet weights of torchvision or of the authors
            (whose names begin with ``Scale.``), or a segmentation network's; classifiers are left out.
            ``bn_pretrain`` may be missing in it.
        kwargs: see ``ResNet``.

    Raises:
        ConfigError: ``out_norm`` without the last stage among ``out_indices``.
        UserError: see ``ResNet``.
    """

    pretrained_extras = ('fc.', 'layer5.', 'layer6.')
    ceil_pool = True

    def __init__(self, depth: int = 101, strides: Sequence[int] = (1, 2, 1, 1),
                 dilations: Sequence[int] = (1, 1, 2, 4), style: str = 'caffe',
                 norm_cfg: dict = BATCH_NORM, zero_init_residual: bool = False,
                 trained_norms: Literal['none', 'stem', 'all'] = 'none', out_norm: bool = False, **kwargs):
        super().__init__(depth, strides=strides, dilations=dilations, style=style, norm_cfg=norm_cfg,
                         zero_init_residual=zero_init_residual, **kwargs)
        self.bn_pretrain = None
        if out_norm:
            if max(self.out_indices) != len(self.stage_names) - 1:
                raise ConfigError(f'DeepLabResNet: out_norm is of the last stage, which out_indices '
                                  f'{self.out_indices} do not have')
            channels = self.base_channels * 2 ** (len(self.stage_names) - 1) * self.expansion
            self.bn_pretrain = build_norm_layer(norm_cfg, channels)[1]
        if trained_norms != 'all':
            self._keep_norms(except_stem=trained_norms == 'stem')

    def _keep_norms(self, except_stem: bool) -> None:
        """Scales and shifts stay at their start."""
        for name, module in self.named_modules():
            in_stem = not name.startswith(('layer', 'bn_pretrain'))
            if isinstance(module, _BatchNorm) and not (except_stem and in_stem):
                module.requires_grad_(False)

    def init_weights(self) -> None:
        """Load ``pretrained`` if there is one."""
        if self.pretrained:
            load_pretrained(self, self.pretrained, self.pretrained_extras, self._own_names)

    def _own_names(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The authors' names as ours, with a fresh norm of the features where they have none."""
        fresh = {name: value for name, value in self.state_dict().items() if name.startswith('bn_pretrain.')}
        return {**fresh, **own_encoder_names(state)}

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image (B 3 H W) → features of the stages in ``out_indices``, the first at stride 4."""
        features = super().forward(x)
        if self.bn_pretrain is not None:
            features[-1] = self.bn_pretrain(features[-1])
        return features
