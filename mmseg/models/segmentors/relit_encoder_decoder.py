"""A network that relights its images, as DANNet trains it (Wu et al., CVPR 2021; W-zx-Y/DANNet)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys, check_types

from ..builder import SEGMENTORS
from ..output import SegOutput, View
from ..translation import ResNetGenerator
from ..utils.class_weight import CITYSCAPES_FREQUENCY, TEST_STD, class_weights, reweight
from .encoder_decoder import EncoderDecoder


@dataclass
class RelitOutput(SegOutput):
    """
    Args:
        residual: r(x) (B 3 H W), −1 to 1; the network saw x + r(x).
    """

    residual: Tensor


@SEGMENTORS.register_module()
class RelitEncoderDecoder(EncoderDecoder):
    """Segments x + r(x) with a small network r; at test the logits are multiplied by class weights.

    Args:
        relight: settings of r, see ``ResNetGenerator``.
        class_frequency: share of each class in the training labels, above 0.
        test_weight_std: k of the weights at test, see ``class_weights``; 0 leaves the logits as they are.

    Others are of ``EncoderDecoder``.

    Raises:
        ConfigError: another number of frequencies than of classes, or an unknown setting of r.
    """

    may_start_without = ('relight.',)  # a training that starts from a network of the source alone

    def __init__(self, *args: Any, relight: Mapping | None = None,
                 class_frequency: Sequence[float] = CITYSCAPES_FREQUENCY, test_weight_std: float = TEST_STD,
                 **kwargs: Any):
        super().__init__(*args, **kwargs)
        check_range(test_weight_std, 'model.test_weight_std', 0)
        if len(class_frequency) != self.num_classes:
            raise ConfigError(f'model.class_frequency has {len(class_frequency)} entries and the network '
                              f'{self.num_classes} classes')
        relight = dict(relight or {})
        check_keys(relight, ('blocks', 'norm', 'channels'), 'model.relight')
        check_types(ResNetGenerator, relight, 'model.relight')
        self.relight = ResNetGenerator(**relight)
        self.class_frequency = tuple(class_frequency)
        test_weight = class_weights(self.class_frequency, test_weight_std)
        self.register_buffer('test_weight', test_weight, persistent=False)

    def relit(self, img: Tensor) -> tuple[Tensor, Tensor]:
        """Image x (B 3 H W) → x + r(x) and r(x), of the same size."""
        with self._autocast(img):
            residual = self.relight(img)[..., :img.shape[2], :img.shape[3]].to(img.dtype)
        return img + residual, residual

    def outputs(self, *images: Tensor) -> list[RelitOutput]:
        """As of ``EncoderDecoder``; each batch is relit alone, so BatchNorm does not mix the domains."""
        relit, residuals = zip(*(self.relit(img) for img in images))
        return [RelitOutput([View(img, output.features)], output.supervised, residual)
                for img, output, residual in zip(images, super().outputs(*relit), residuals)]

    def coarse_logits(self, img: Tensor) -> Tensor:
        """Image (B 3 H W) → weighted logits (B C h w)."""
        relit, _ = self.relit(img)
        return reweight(super().coarse_logits(relit), self.test_weight)

    def compile(self, *args: Any, **kwargs: Any) -> None:
        super().compile(*args, **kwargs)
        self.relight.compile(*args, **kwargs)
