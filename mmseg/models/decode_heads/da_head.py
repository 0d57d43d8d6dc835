"""The decoder of DANet (Fu et al., "Dual Attention Network for Scene Segmentation", CVPR 2019)."""
from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import ConvModule, Scale
from torch import Tensor, nn

from ..builder import HEADS
from ..utils.isa import attend
from .decode_head import BaseDecodeHead


class PositionAttention(nn.Module):
    """Attention among positions, added with a learnt factor that begins at 0 (DANet, section 3.2)."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.query_project = nn.Conv2d(in_channels, channels, 1)
        self.key_project = nn.Conv2d(in_channels, channels, 1)
        self.value_project = nn.Conv2d(in_channels, in_channels, 1)
        self.gamma = Scale(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → (B C H W)."""
        context = attend(self.query_project(x), self.key_project(x), self.value_project(x), scale=1.0)
        return self.gamma(context) + x


class ChannelAttention(nn.Module):
    """Attention among channels, added with a learnt factor that begins at 0 (DANet, section 3.3). As in
    the authors' code, a channel attends most to those that are least like it."""

    def __init__(self):
        super().__init__()
        self.gamma = Scale(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B C H W) → (B C H W)."""
        channels = x.flatten(2)
        energy = channels @ channels.transpose(1, 2)
        attention = (-energy).softmax(dim=-1)
        return self.gamma((attention @ channels).view_as(x)) + x


@HEADS.register_module()
class DAHead(BaseDecodeHead):
    """Position and channel attention; the prediction is made from their sum, and in training each is
    classified by itself as well.

    Args:
        pam_channels: of the keys and queries of the position attention.
    """

    def __init__(self, pam_channels: int, **kwargs):
        super().__init__(**kwargs)
        for name, attention in (('pam', PositionAttention(self.channels, pam_channels)),
                                ('cam', ChannelAttention())):
            self.add_module(f'{name}_in_conv',
                            ConvModule(self.in_channels, self.channels, 3, padding=1, **self.style))
            self.add_module(name, attention)
            self.add_module(f'{name}_out_conv',
                            ConvModule(self.channels, self.channels, 3, padding=1, **self.style))
            self.add_module(f'{name}_conv_seg', nn.Conv2d(self.channels, self.num_classes, 1))

    def _attended(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Features (B channels h w) after position and after channel attention."""
        x = self._transform_inputs(inputs)
        return (self.pam_out_conv(self.pam(self.pam_in_conv(x))),
                self.cam_out_conv(self.cam(self.cam_in_conv(x))))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        position, channel = self._attended(inputs)
        return self.cls_seg(position + channel)

    def training_logits(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        position, channel = self._attended(inputs)
        return dict(pam_cam=self.cls_seg(position + channel),
                    pam=self.pam_conv_seg(self.dropout(position)),
                    cam=self.cam_conv_seg(self.dropout(channel)))
