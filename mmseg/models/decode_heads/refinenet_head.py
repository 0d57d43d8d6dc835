"""The decoder of RefineNet (Lin et al., "RefineNet: Multi-Path Refinement Networks", CVPR 2017), which MGCDA
has. Numbers of layers are those of the authors' code (guosheng/refinenet), where the paper has fewer."""
from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import HEADS
from ..utils.resize import Resize
from .decode_head import BaseDecodeHead


def conv3x3(in_channels: int, channels: int, bias: bool = False) -> nn.Conv2d:
    conv = nn.Conv2d(in_channels, channels, 3, padding=1, bias=bias)
    nn.init.normal_(conv.weight, std=0.01)
    if bias:
        nn.init.zeros_(conv.bias)
    return conv


class ResidualConvUnit(nn.Module):
    """Two 3×3 convolutions, each after a ReLU, added to their input (section 3.2)."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = conv3x3(channels, channels, bias=True), conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → the same."""
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))


class ChainedResidualPooling(nn.Module):
    """A chain of 5×5 max-pooling and convolution, all of whose links are added to the input (section 3.2)."""

    def __init__(self, channels: int, links: int):
        super().__init__()
        self.convs = nn.ModuleList(conv3x3(channels, channels) for _ in range(links))

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → the same."""
        total = link = F.relu(x)
        for conv in self.convs:
            link = conv(F.max_pool2d(link, 5, stride=1, padding=2))
            total = total + link
        return total


class RefineBlock(nn.Module):
    """Refines a feature map by what a coarser block found.

    Args:
        in_channels: of the encoder's map.
        channels: of its adapted map.
        coarse_channels: of the coarser block's output; None: there is none.
        links: of the chain of poolings.
        refinements: convolution units behind it.

    The fusion and the output have the smaller number of channels, ``out_channels``.
    """

    def __init__(self, in_channels: int, channels: int, coarse_channels: int | None, links: int,
                 refinements: int, align_corners: bool):
        super().__init__()
        self.adapt = nn.Sequential(conv3x3(in_channels, channels), ResidualConvUnit(channels),
                                   ResidualConvUnit(channels))
        self.out_channels = min(channels, coarse_channels or channels)
        self.resize = Resize(align_corners)
        self.fuse_fine = self.fuse_coarse = None
        if coarse_channels is not None:
            self.fuse_fine = conv3x3(channels, self.out_channels)
            self.fuse_coarse = conv3x3(coarse_channels, self.out_channels)
        self.pool = ChainedResidualPooling(self.out_channels, links)
        self.refine = nn.Sequential(*(ResidualConvUnit(self.out_channels) for _ in range(refinements)))

    def forward(self, x: Tensor, coarse: Tensor | None = None) -> Tensor:
        """(B in_channels H W), and (B coarse_channels h w) if there is a coarser block
        → (B out_channels H W)."""
        x = self.adapt(x)
        if coarse is not None:
            x = self.fuse_fine(x) + self.resize(self.fuse_coarse(coarse), x.shape[2:])
        return self.refine(self.pool(x))


@HEADS.register_module()
class RefineNetHead(BaseDecodeHead):
    """A cascade of blocks from the coarsest feature map to the finest, at whose size the logits are.

    Args:
        channels: of the blocks; the first of several has twice as many.
        links, refinements: of each block, see ``RefineBlock``.

    Raises:
        ConfigError: there is no link or no unit.
    """

    def __init__(self, channels: int = 256, links: int = 4, refinements: int = 3, **kwargs):
        super().__init__(channels=channels, **{'input_transform': 'multiple_select', **kwargs})
        check_range(links, 'RefineNetHead: links', 1)
        check_range(refinements, 'RefineNetHead: refinements', 1)
        self.blocks = nn.ModuleList()  # the coarsest first
        coarse = None
        for in_channels in reversed(self.in_channels):
            first_of_several = not self.blocks and len(self.in_channels) > 1
            width = 2 * channels if first_of_several else channels
            self.blocks.append(RefineBlock(in_channels, width, coarse, links, refinements,
                                           self.align_corners))
            coarse = self.blocks[-1].out_channels
        self.conv_seg = conv3x3(channels, self.num_classes, bias=True)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        coarse = None
        for block, x in zip(self.blocks, reversed(self._transform_inputs(inputs))):
            coarse = block(x, coarse)
        return self.cls_seg(coarse)
