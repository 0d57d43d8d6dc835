"""ResNeXt (Xie et al., "Aggregated Residual Transformations", CVPR 2017)."""
from __future__ import annotations

from torch import nn

from ..builder import BACKBONES
from .resnet import ResidualBlock, ResNet


@BACKBONES.register_module()
class ResNeXt(ResNet):
    """ResNet whose bottlenecks have grouped 3×3 convolutions.

    Args:
        groups: of the 3×3 convolutions ("cardinality").
        base_width: channels of a group in the first stage.
    """

    arch_settings = {depth: blocks for depth, blocks in ResNet.arch_settings.items() if depth >= 50}

    def __init__(self, groups: int = 1, base_width: int = 4, **kwargs):
        self.groups, self.base_width = groups, base_width
        super().__init__(**kwargs)

    def _make_block(self, in_channels: int, planes: int, stride: int, dilation: int,
                    downsample: nn.Module | None) -> ResidualBlock:
        width = planes
        if self.groups > 1:
            width = planes * self.base_width // self.base_channels * self.groups
        return self._bottleneck(in_channels, planes, stride, dilation, downsample, width, self.groups)
