"""The feature pyramid of plain transformers (Li et al., "Exploring Plain Vision Transformer Backbones for
Object Detection", ECCV 2022, section 3)."""
from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from mmseg.utils import UserError

from ..builder import NECKS


@NECKS.register_module()
class SimpleFPN(nn.Module):
    """Makes levels of several strides out of a single map, usually a transformer's last.

    Args:
        in_channels: of the map.
        out_channels: of all levels.
        in_index: which map of the backbone.
        scales: size of each level relative to the map, powers of two.

    Raises:
        UserError: a scale is not a power of two.
    """

    def __init__(self, in_channels: int, out_channels: int = 256, in_index: int = -1,
                 scales: Sequence[float] = (4, 2, 1, 0.5)):
        super().__init__()
        self.in_index = in_index
        self.levels = nn.ModuleList(_level(in_channels, out_channels, scale) for scale in scales)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """The map (B in_channels h w) → levels (B out_channels h·scale w·scale)."""
        return [level(features[self.in_index]) for level in self.levels]


def norm(channels: int) -> nn.Module:
    """Over the channels of each pixel."""
    from torchvision.models.convnext import LayerNorm2d  # seconds, where there is such a neck

    return LayerNorm2d(channels, eps=1e-6)


def _level(in_channels: int, out_channels: int, scale: float) -> nn.Sequential:
    """Transposed convolutions that halve the channels, or pooling; then 1×1 and 3×3 convolutions."""
    octaves = math.log2(scale) if scale > 0 else math.nan
    if not float(octaves).is_integer():
        raise UserError(f'SimpleFPN: scale {scale} is not a power of two')
    layers: list[nn.Module] = []
    channels = in_channels
    for i in range(int(octaves)):
        if i > 0:
            layers += [norm(channels), nn.GELU()]
        layers.append(nn.ConvTranspose2d(channels, channels // 2, 2, stride=2))
        channels //= 2
    layers += [nn.MaxPool2d(2, stride=2) for _ in range(-int(octaves))]
    layers += [nn.Conv2d(channels, out_channels, 1, bias=False), norm(out_channels),
               nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False), norm(out_channels)]
    return nn.Sequential(*layers)
