"""Outputs of a network at a quarter of the images' resolution, where ProDA compares them, and the features
that its classifier is given (Zhang et al., CVPR 2021; microsoft/ProDA)."""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import ConfigError

from ...output import SegOutput


def _quarter_size(img: Tensor) -> tuple[int, int]:
    return img.shape[-2] // 4, img.shape[-1] // 4


def quarter(x: Tensor, img: Tensor) -> Tensor:
    """A map (B C h w) at a quarter of the resolution of images (B 3 H W), bilinear, float32."""
    return F.interpolate(x.float(), _quarter_size(img), mode='bilinear', align_corners=True)


def quarter_logits(output: SegOutput, img: Tensor) -> Tensor:
    """The logits of the prediction, from the head's own resolution: (B C H/4 W/4)."""
    return quarter(output.prediction.coarse, img)


def quarter_label(label: Tensor, img: Tensor) -> Tensor:
    """Every fourth pixel of class ids (B 1 H W): (B H/4 W/4), int64."""
    return F.interpolate(label.float(), _quarter_size(img)).long().squeeze(1)


def check_single_output(network: nn.Module) -> int:
    """The channels of the features in front of the classifier.

    Raises:
        ConfigError: the network has auxiliary heads, whose weights would get no gradient of the target, or
            no single classifier.
    """
    if network.auxiliary_heads():
        raise ConfigError('uda: ProDA trains networks without auxiliary heads: set model.auxiliary_head=None')
    classifier = getattr(network.decode_head, 'conv_seg', None)
    if classifier is None or not any(p.requires_grad for p in classifier.parameters()):
        raise ConfigError(f'uda: ProDA needs a decode head that ends in one classifier of its features, and '
                          f'{type(network.decode_head).__name__} does not')
    return classifier.in_channels


def classified(forward: nn.Module, network: nn.Module, img: Tensor) -> tuple[SegOutput, Tensor]:
    """The outputs for images (B 3 H W), and the features that the classifier was given (B D h w), in
    training after dropout.

    Args:
        forward: ``network``, or its parallel wrapper.
    """
    found: list[Tensor] = []
    hook = network.decode_head.conv_seg.register_forward_pre_hook(lambda _, args: found.append(args[0]))
    try:
        [output] = forward(img)
    finally:
        hook.remove()
    return output, found[0]
