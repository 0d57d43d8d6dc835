"""Residual networks (He et al., "Deep Residual Learning", CVPR 2016), with the stages dilated for dense
prediction (Chen et al., DeepLab) and the stem of three 3×3 convolutions (He et al., "Bag of Tricks",
CVPR 2019: variants C and D). Parameter names are those of public checkpoints."""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import build_conv_layer, build_norm_layer
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmseg.checkpoint.weights import load_pretrained
from mmseg.utils import UserError

from ..builder import BACKBONES

BATCH_NORM = dict(type='BN', requires_grad=True)


class ResidualBlock(nn.Module):
    """Convolutions ``conv1``, ``conv2``, … with norms, added to the input or its projection.

    Args:
        convs: (convolution, its output channels, whether a norm follows), in order.
        downsample: projection of the input where its shape changes.
        pool: applied after the second convolution.
        with_cp: recompute the block in the backward pass to save memory.
    """

    def __init__(self, convs: Sequence[tuple[nn.Module, int, bool]], downsample: nn.Module | None,
                 norm_cfg: dict, with_cp: bool = False, pool: nn.Module | None = None):
        super().__init__()
        self.norm_names: list[str | None] = []
        for i, (conv, channels, has_norm) in enumerate(convs, start=1):
            self.add_module(f'conv{i}', conv)
            name = None
            if has_norm:
                name, norm = build_norm_layer(norm_cfg, channels, postfix=i)
                self.add_module(name, norm)
            self.norm_names.append(name)
        self.downsample, self.pool, self.with_cp = downsample, pool, with_cp

    @property
    def last_norm(self) -> nn.Module:
        return getattr(self, self.norm_names[-1])

    def _transform(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        last = len(self.norm_names)
        for i, norm in enumerate(self.norm_names, start=1):
            x = getattr(self, f'conv{i}')(x)
            if norm is not None:
                x = getattr(self, norm)(x)
                x = F.relu(x, inplace=True) if i < last else x
            if i == 2 and self.pool is not None:
                x = self.pool(x)
        return F.relu(x + identity, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → (B C' H/stride W/stride)."""
        if self.with_cp and x.requires_grad:
            return checkpoint(self._transform, x, use_reentrant=False)
        return self._transform(x)


@BACKBONES.register_module()
class ResNet(nn.Module):
    """A stem of stride 4, then ``num_stages`` stages of residual blocks.

    Args:
        depth: 18 or 34 (two 3×3 convolutions a block), 50, 101 or 152 (bottlenecks).
        in_channels: of the image.
        stem_channels, base_channels: of the stem; of the first stage's inner convolutions.
        strides, dilations: of each stage. A dilated stage keeps its field of view without a stride.
        out_indices: which stages are returned.
        style: 'pytorch' has a bottleneck's stride in its 3×3 convolution, 'caffe' in the first 1×1.
        deep_stem: three 3×3 convolutions in place of one 7×7.
        avg_down: project the shortcut by average pooling and a 1×1 convolution of stride 1.
        frozen_stages: the stem (0) and so many stages are not trained; -1: all are.
        norm_eval: batch norms keep their running statistics in training.
        contract_dilation: the first block of a dilated stage has half its dilation.
        with_cp: recompute the blocks in the backward pass to save memory.
        zero_init_residual: each block begins as the identity.
        pretrained: checkpoint loaded by ``init_weights`` (its classifier is left out).

    Raises:
        UserError: an unknown depth or style, or lists that do not fit ``num_stages``.
    """

    # What a public ImageNet checkpoint holds beyond the encoder.
    pretrained_extras = ('fc.',)
    # whether the stem's pooling keeps a last row or column that does not fill its window
    ceil_pool = False
    arch_settings = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3),
                     152: (3, 8, 36, 3)}

    def __init__(self, depth: int, in_channels: int = 3, stem_channels: int = 64, base_channels: int = 64,
                 num_stages: int = 4, strides: Sequence[int] = (1, 2, 2, 2),
                 dilations: Sequence[int] = (1, 1, 1, 1), out_indices: Sequence[int] = (0, 1, 2, 3),
                 style: str = 'pytorch', deep_stem: bool = False, avg_down: bool = False,
                 frozen_stages: int = -1, conv_cfg: dict | None = None, norm_cfg: dict = BATCH_NORM,
                 norm_eval: bool = False, contract_dilation: bool = False, with_cp: bool = False,
                 zero_init_residual: bool = True, pretrained: str | None = None,
                 init_cfg: dict | None = None):
        super().__init__()
        self._check(depth, num_stages, strides, dilations, out_indices, style)
        self.depth, self.base_channels, self.out_indices = depth, base_channels, tuple(out_indices)
        self.style, self.avg_down, self.frozen_stages = style, avg_down, frozen_stages
        self.conv_cfg, self.norm_cfg, self.norm_eval = conv_cfg, norm_cfg, norm_eval
        self.contract_dilation, self.with_cp = contract_dilation, with_cp
        self.pretrained = pretrained or (init_cfg or {}).get('checkpoint')
        self.expansion = 4 if depth >= 50 else 1
        self.deep_stem = deep_stem
        self._make_stem(in_channels, stem_channels)
        channels, self.stage_names = stem_channels, []
        for i in range(num_stages):
            planes = base_channels * 2**i
            stage = self._make_stage(channels, planes, self.arch_settings[depth][i], strides[i], dilations[i])
            channels = planes * self.expansion
            self.stage_names.append(f'layer{i + 1}')
            self.add_module(self.stage_names[-1], stage)
        self._init_layers(zero_init_residual)
        for module in self._frozen_modules():
            module.requires_grad_(False)

    def _check(self, depth, num_stages, strides, dilations, out_indices, style) -> None:
        where = type(self).__name__
        if depth not in self.arch_settings:
            raise UserError(f"{where}: depth {depth}, known are {', '.join(map(str, self.arch_settings))}")
        if style not in ('pytorch', 'caffe'):
            raise UserError(f"{where}: style '{style}', expected pytorch or caffe")
        if not 1 <= num_stages <= 4 or len(strides) != num_stages or len(dilations) != num_stages:
            raise UserError(f'{where}: strides {strides} and dilations {dilations} need one value for each '
                            f'of the {num_stages} stages (1 to 4)')
        if max(out_indices) >= num_stages:
            raise UserError(f'{where}: out_indices {out_indices}, but there are {num_stages} stages')

    # ------------------------------------------------------------- construction

    def _conv(self, in_channels: int, channels: int, kernel: int, stride: int = 1, dilation: int = 1,
              groups: int = 1) -> nn.Module:
        padding = dilation * (kernel // 2)
        return build_conv_layer(self.conv_cfg, in_channels, channels, kernel, stride=stride, padding=padding,
                                dilation=dilation, groups=groups, bias=False)

    def _make_stem(self, in_channels: int, channels: int) -> None:
        if not self.deep_stem:
            self.conv1 = self._conv(in_channels, channels, 7, stride=2)
            self.norm1_name, norm = build_norm_layer(self.norm_cfg, channels, postfix=1)
            self.add_module(self.norm1_name, norm)
            return
        layers, widths = [], (in_channels, channels // 2, channels // 2, channels)
        for i in range(3):
            layers += [self._conv(widths[i], widths[i + 1], 3, stride=2 if i == 0 else 1),
                       build_norm_layer(self.norm_cfg, widths[i + 1])[1], nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*layers)

    def _make_stage(self, in_channels: int, planes: int, blocks: int, stride: int,
                    dilation: int) -> nn.Sequential:
        channels = planes * self.expansion
        downsample = None
        if stride != 1 or in_channels != channels:
            downsample = self._make_downsample(in_channels, channels, stride)
        contracted = dilation // 2 if dilation > 1 and self.contract_dilation else dilation
        first = self._make_block(in_channels, planes, stride, contracted, downsample)
        return nn.Sequential(first, *(self._make_block(channels, planes, 1, dilation, None)
                                      for _ in range(blocks - 1)))

    def _make_downsample(self, in_channels: int, channels: int, stride: int) -> nn.Sequential:
        pool = []
        if self.avg_down:
            pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)]
        conv = self._conv(in_channels, channels, 1, stride=1 if self.avg_down else stride)
        return nn.Sequential(*pool, conv, build_norm_layer(self.norm_cfg, channels)[1])

    def _make_block(self, in_channels: int, planes: int, stride: int, dilation: int,
                    downsample: nn.Module | None) -> ResidualBlock:
        if self.expansion == 1:
            convs = [(self._conv(in_channels, planes, 3, stride, dilation), planes, True),
                     (self._conv(planes, planes, 3), planes, True)]
            return ResidualBlock(convs, downsample, self.norm_cfg, self.with_cp)
        return self._bottleneck(in_channels, planes, stride, dilation, downsample, width=planes)

    def _bottleneck(self, in_channels: int, planes: int, stride: int, dilation: int,
                    downsample: nn.Module | None, width: int, groups: int = 1) -> ResidualBlock:
        first, second = (1, stride) if self.style == 'pytorch' else (stride, 1)
        channels = planes * self.expansion
        convs = [(self._conv(in_channels, width, 1, first), width, True),
                 (self._conv(width, width, 3, second, dilation, groups), width, True),
                 (self._conv(width, channels, 1), channels, True)]
        return ResidualBlock(convs, downsample, self.norm_cfg, self.with_cp)

    def _init_layers(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, ResidualBlock) and zero_init_residual:
                nn.init.zeros_(module.last_norm.weight)

    def init_weights(self) -> None:
        """Load ``pretrained`` if there is one."""
        if self.pretrained:
            load_pretrained(self, self.pretrained, extras=self.pretrained_extras)

    # ---------------------------------------------------------------------- use

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        stem = [self.stem] if self.deep_stem else [self.conv1, getattr(self, self.norm1_name)]
        return stem + [getattr(self, name) for name in self.stage_names[:self.frozen_stages]]

    def train(self, mode: bool = True) -> ResNet:
        """Training mode, except for frozen stages and, with ``norm_eval``, batch norms."""
        super().train(mode)
        if mode:
            for module in self._frozen_modules():
                module.eval()
            if self.norm_eval:
                for module in self.modules():
                    if isinstance(module, _BatchNorm):
                        module.eval()
        return self

    def forward(self, x: Tensor) -> list[Tensor]:
        """Image (B 3 H W) → features of the stages in ``out_indices``, the first at stride 4."""
        if self.deep_stem:
            x = self.stem(x)
        else:
            x = F.relu(getattr(self, self.norm1_name)(self.conv1(x)), inplace=True)
        x = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=self.ceil_pool)
        features = []
        for i, name in enumerate(self.stage_names):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                features.append(x)
        return features


@BACKBONES.register_module()
class ResNetV1c(ResNet):
    """ResNet with the deep stem."""

    def __init__(self, **kwargs):
        super().__init__(**{'deep_stem': True, **kwargs})


@BACKBONES.register_module()
class ResNetV1d(ResNet):
    """ResNet with the deep stem and pooled shortcuts."""

    def __init__(self, **kwargs):
        super().__init__(**{'deep_stem': True, 'avg_down': True, **kwargs})
