"""Fully convolutional discriminators (Radford et al., ICLR 2016; for segmentation Tsai et al., CVPR 2018)."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from mmseg.utils import ConfigError, DataError
from mmseg.utils.registry import check_keys, check_types

ACTIVATIONS = {'relu': nn.ReLU, 'leaky_relu': lambda: nn.LeakyReLU(0.2)}
# What the authors of each method take; the keys of FCDiscriminator.
KINDS: dict[str, dict] = {
    'advent': dict(names='numbers'),
    'bdl': {},
    'dannet': dict(channels=(64, 128, 256, 256), strides=(2, 2, 1, 1, 1)),
    'proda': dict(kernel_sizes=(3, 3, 3, 3, 1), strides=(2, 2, 2, 2, 1),
                  activations=('relu', 'relu', 'relu', 'leaky_relu')),
}


class FCDiscriminator(nn.Sequential):
    """Convolutions with activations between them: (B C H W) → one answer for every cell, (B 1 h w).

    Args:
        in_channels: C; the classes of a map of probabilities or self-information.
        channels: of all convolutions but the last, which has 1.
        kernel_sizes: of every convolution; their padding is (k − 1) // 2.
        strides: of every convolution.
        activations: after every convolution but the last: 'leaky_relu' (slope 0.2) or 'relu'.
        names: of the weights: 'layers' is conv1, conv2, … classifier (BDL, DANNet, ProDA); 'numbers' is
            0, 2, … (ADVENT).

    Raises:
        ConfigError: the lists do not belong together, or an unknown word.
    """

    def __init__(self, in_channels: int, channels: Sequence[int] = (64, 128, 256, 512),
                 kernel_sizes: Sequence[int] = (4, 4, 4, 4, 4), strides: Sequence[int] = (2, 2, 2, 2, 2),
                 activations: Sequence[str] = ('leaky_relu',) * 4, names: str = 'layers'):
        check_keys(activations, ACTIVATIONS, 'activations of a discriminator')
        if names not in ('layers', 'numbers'):
            raise ConfigError(f"names of a discriminator is '{names}', expected layers or numbers")
        hidden = len(channels)
        for key, values, expected in (('kernel_sizes', kernel_sizes, hidden + 1),
                                      ('strides', strides, hidden + 1), ('activations', activations, hidden)):
            if len(values) != expected:
                raise ConfigError(f'a discriminator with {hidden} channels needs {expected} {key}, '
                                  f'got {len(values)}')
        widths = (in_channels, *channels, 1)
        layers: list[tuple[str, nn.Module]] = []
        for k, (size, stride) in enumerate(zip(kernel_sizes, strides)):
            conv = nn.Conv2d(widths[k], widths[k + 1], size, stride, padding=(size - 1) // 2)
            layers.append((f'conv{k + 1}' if k < hidden else 'classifier', conv))
            if k < hidden:
                layers.append((f'activation{k + 1}', ACTIVATIONS[activations[k]]()))
        super().__init__(OrderedDict((name if names == 'layers' else str(k), layer)
                                     for k, (name, layer) in enumerate(layers)))
        self.least_side = 1  # of what it sees, in cells, for one answer
        for size, stride in zip(reversed(kernel_sizes), reversed(strides)):
            self.least_side = max((self.least_side - 1) * stride + size - 2 * ((size - 1) // 2), 1)

    def forward(self, x: Tensor) -> Tensor:
        """
        Raises:
            DataError: there is too little to give one answer.
        """
        height, width = x.shape[2:]
        if min(height, width) < self.least_side:
            raise DataError(f'a discriminator sees maps of {width}x{height}, and needs '
                            f'{self.least_side}x{self.least_side}: take larger crops')
        return super().forward(x)


def build_discriminator(cfg: dict, in_channels: int) -> FCDiscriminator:
    """The discriminator of a config.

    Args:
        cfg: ``kind``, one of KINDS, and keys of ``FCDiscriminator`` that differ from it.

    Raises:
        ConfigError: an unknown kind or key, or a value of another type.
    """
    options = dict(cfg)
    kind = options.pop('kind', 'bdl')
    check_keys([kind], KINDS, 'the kinds of discriminators')
    known = ('channels', 'kernel_sizes', 'strides', 'activations', 'names')
    check_keys(options, known, 'a discriminator')
    check_types(FCDiscriminator, options, 'a discriminator')
    return FCDiscriminator(in_channels, **{**KINDS[kind], **options})
