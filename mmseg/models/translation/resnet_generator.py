"""An image-to-image network of residual blocks (Johnson et al., ECCV 2016), as CycleGAN (Zhu et al., ICCV
2017) and DANNet (Wu et al., CVPR 2021) build it; weights of W-zx-Y/DANNet load by name."""
from __future__ import annotations

from torch import Tensor, nn

from mmseg.utils import ConfigError

DOWN = 2  # halvings of the resolution


def _norm(kind: str, channels: int) -> nn.Module:
    if kind == 'BN':
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=False, track_running_stats=True)


class ResidualBlock(nn.Module):
    """x + two 3×3 convolutions with reflected borders, normalised, a ReLU between them."""

    def __init__(self, channels: int, norm: str):
        super().__init__()
        bias = norm == 'IN'
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), _norm(norm, channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=bias), _norm(norm, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class ResNetGenerator(nn.Module):
    """7×7 stem, two halvings, residual blocks, two doublings, 7×7 convolution and tanh.

    DANNet's relighting network R has 3 blocks with BatchNorm, and x + R(x) is the relit image; CycleGAN's
    generator has 9 with InstanceNorm.

    Args:
        blocks: residual blocks.
        norm: 'BN', or 'IN' (no scale nor shift, running statistics), which has biases in all convolutions.
        channels: of the stem; twice as many after each halving.

    Raises:
        ConfigError: another norm.
    """

    def __init__(self, blocks: int = 3, norm: str = 'BN', channels: int = 64):
        super().__init__()
        if norm not in ('BN', 'IN'):
            raise ConfigError(f"ResNetGenerator: norm '{norm}', expected BN or IN")
        bias = norm == 'IN'
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, channels, 7, bias=bias), _norm(norm, channels),
                  nn.ReLU(inplace=True)]
        for width in (channels * 2**k for k in range(DOWN)):
            layers += [nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=bias), _norm(norm, 2 * width),
                       nn.ReLU(inplace=True)]
        layers += [ResidualBlock(channels * 2**DOWN, norm) for _ in range(blocks)]
        for width in (channels * 2**k for k in reversed(range(DOWN))):
            layers += [nn.ConvTranspose2d(2 * width, width, 3, stride=2, padding=1, output_padding=1,
                                          bias=bias),
                       _norm(norm, width), nn.ReLU(inplace=True)]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(channels, 3, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """(B 3 H W) → (B 3 H' W') in −1 to 1, H' and W' rounded up to a multiple of 4."""
        return self.model(image)
