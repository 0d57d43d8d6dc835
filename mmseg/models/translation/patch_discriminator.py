"""The discriminator of CycleGAN, which judges patches of 70×70 pixels (Isola et al., CVPR 2017)."""
from __future__ import annotations

from torch import Tensor, nn

from mmseg.utils.ranges import check_range


class PatchDiscriminator(nn.Module):
    """Images (B 3 H W) → an answer for every patch (B 1 h w): 1 for real images, 0 for translated ones.

    Args:
        channels: of the first convolution; then 2, 4 and 8 times as many.
        layers: convolutions of stride 2; 3 judge patches of 70×70.
    """

    def __init__(self, channels: int = 64, layers: int = 3):
        super().__init__()
        check_range(channels, 'channels of a patch discriminator', 1)
        check_range(layers, 'layers of a patch discriminator', 1)
        widths = [channels * min(2 ** k, 8) for k in range(layers + 1)]
        modules: list[nn.Module] = [nn.Conv2d(3, channels, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for k in range(layers):
            stride = 2 if k + 1 < layers else 1
            modules += [nn.Conv2d(widths[k], widths[k + 1], 4, stride=stride, padding=1),
                        nn.InstanceNorm2d(widths[k + 1], affine=False, track_running_stats=True),
                        nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*modules, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images)
