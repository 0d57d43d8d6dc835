"""The network of HRDA (Hoyer et al., ECCV 2022; lhoyer/HRDA c370b5b): the whole image at low resolution, its
details at full resolution, and a learned attention that fuses them. Equations: docs/methods/hrda.md."""
from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmseg.utils import ConfigError, get_root_logger
from mmseg.utils.ranges import check_range

from ..builder import SEGMENTORS
from ..decode_heads.hrda_head import FusedLogits, HRDAHead, precise
from ..output import Area, SegOutput, View
from .encoder_decoder import EncoderDecoder
from .sliding_window import window_origins


@SEGMENTORS.register_module()
class HRDAEncoderDecoder(EncoderDecoder):
    """Training sees the context, the whole image at scale s, and one crop of its details; inference sees
    windows of details everywhere. Sides that do not fit the grids of the logits are padded with 0, the mean
    colour.

    Args:
        scales: 1, that of the details, and s, that of the context.
        hr_crop_size: height and width of the crop and of the windows, pixels; None: the whole image.
        hr_slide_inference: details from windows; otherwise from the whole image at once.
        hr_slide_overlapping: windows every half of their size; otherwise side by side.
        crop_coord_divisible: k; the crop's origin is a multiple of it.
        blur_hr_crop: halve and double the image before its details are taken.
        feature_scale: the scale whose features the feature distance compares, or 'all': both, summed.
        pixels_at_once: bounds the memory of inference: pixels of the windows that encoder or decoder take at
            once. One window they always take.

    Others are of ``EncoderDecoder``; its ``decode_head`` is an ``HRDAHead``.

    Raises:
        ConfigError: settings that do not go together.
    """

    decode_head: HRDAHead
    one_graph = False  # numpy draws other crops in each step; windows go through the encoder in many parts
    may_start_without = ('decode_head.scale_attention.',)

    def __init__(self, *args: Any, scales: Sequence[float] = (1, 0.5),
                 hr_crop_size: Sequence[int] | None = None, hr_slide_inference: bool = True,
                 hr_slide_overlapping: bool = True, crop_coord_divisible: int = 1, blur_hr_crop: bool = False,
                 feature_scale: float | str = 1, pixels_at_once: int = 2 ** 21, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not isinstance(self.decode_head, HRDAHead) or self.auxiliary_head is not None:
            raise ConfigError("model.type='HRDAEncoderDecoder' needs decode_head.type='HRDAHead' and no "
                              'auxiliary_head')
        if len(scales) != 2 or max(scales) != 1 or min(scales) <= 0:
            raise ConfigError(f'model.scales is {list(scales)}, expected 1 and a smaller one, of the context')
        if feature_scale not in ('all', *scales):
            raise ConfigError(f"model.feature_scale is {feature_scale!r}, expected 'all' or one of scales")
        if hr_crop_size is None and hr_slide_inference:
            raise ConfigError('model.hr_slide_inference needs model.hr_crop_size, the size of its windows')
        check_range(crop_coord_divisible, 'model.crop_coord_divisible', 1)
        check_range(pixels_at_once, 'model.pixels_at_once', 1)
        self.context_scale, self.feature_scale = min(scales), feature_scale
        self.hr_slide_inference, self.blur_hr_crop = hr_slide_inference, blur_hr_crop
        self.hr_slide_overlapping, self.crop_coord_divisible = hr_slide_overlapping, crop_coord_divisible
        self.hr_crop_size, self.pixels_at_once = hr_crop_size, pixels_at_once
        cells = Fraction(self.context_scale).limit_denominator(1024) / self.decode_head.output_stride
        self.divisor = math.lcm(self.decode_head.output_stride, cells.denominator)
        self._check_crop(math.lcm(self.divisor, 2 * self.decode_head.output_stride))

    def _check_crop(self, unit: int) -> None:
        if self.hr_crop_size is None:
            return
        if any(side < 1 or side % unit for side in self.hr_crop_size) or len(self.hr_crop_size) != 2:
            raise ConfigError(f'model.hr_crop_size is {list(self.hr_crop_size)}, expected height and width, '
                              f'multiples of {unit}')
        if self.crop_coord_divisible % self.divisor:
            _tell_misaligned_crops(self.crop_coord_divisible, self.divisor)

    @staticmethod
    def start_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The entries of a single-scale network as those of this one, whose attention they leave as it is."""
        own = any(name.startswith('decode_head.head.') for name in state)
        return {name if own else name.replace('decode_head.', 'decode_head.head.', 1): weight
                for name, weight in state.items()}

    # ------------------------------------------------------------------ training

    def outputs(self, *images: Tensor, crops: Sequence[Area] | None = None) -> list[SegOutput]:
        """As of ``EncoderDecoder``; the prediction is context and detail, fused. See ``encode`` for what goes
        through the encoder together.

        Args:
            crops: where the details of each batch are; None: drawn for one batch after another.
        """
        if crops is None:
            crops = [self.draw_crop(img.shape[2:]) for img in images]
        padded = [self._pad(img) for img in images]
        contexts = [self._resized(img, self.context_scale) for img in padded]
        details = [crop.of(self._sharp(img)) for img, crop in zip(padded, crops)]
        features = self.encode([img for pair in zip(contexts, details) for img in pair])
        views = zip(map(View, contexts, features[::2]), map(View, details, features[1::2], crops))
        return [self._output(img.shape[2:], *pair) for img, pair in zip(images, views)]

    def draw_crop(self, size: Sequence[int]) -> Area:
        """Where the details of a batch of images of ``size`` (H W) are, from ``np.random``, y before x. The
        offset is a multiple of k, but never the last one that fits, and 0 where there is no choice."""
        padded = self._padded_size(size)
        sides = []
        for length, longest, side in zip(size, padded, self.hr_crop_size or padded):
            side = min(side, longest)
            choices = (length - side + 1) // self.crop_coord_divisible
            start = self.crop_coord_divisible * int(np.random.randint(choices)) if choices > 1 else 0
            sides += [start, start + side]
        return Area(*sides)

    def encode(self, images: Sequence[Tensor]) -> list[list[Tensor]]:
        """The feature maps of several batches (B 3 H W). Batches of one size go through the encoder together,
        unless it has a BatchNorm on batch statistics, which has to see each alone."""
        if _uses_batch_statistics(self.backbone, self.neck):
            return [list(self.extract_feat(img)) for img in images]
        found: dict[int, list[Tensor]] = {}
        for size in dict.fromkeys(img.shape[1:] for img in images):
            group = [i for i, img in enumerate(images) if img.shape[1:] == size]
            together = [torch.cat([images[i] for i in group]) if len(group) > 1 else images[group[0]]]
            features = self._in_parts(lambda part: list(self.extract_feat(part[0])), together, size)
            parts = [feature.split([len(images[i]) for i in group]) for feature in features]
            found.update({i: [levels[n] for levels in parts] for n, i in enumerate(group)})
        return [found[i] for i in range(len(images))]

    def _output(self, size: Sequence[int], context: View, detail: View) -> SegOutput:
        head, padded = self.decode_head, self._padded_size(size)
        with self._autocast(context.img):
            logits = head(context.features, detail.features, detail.area, self.context_scale, padded)
        views = {1: [detail], self.context_scale: [context], 'all': [context, detail]}[self.feature_scale]
        return SegOutput(views, head.training_outputs(logits, detail.area, padded, size))

    # ----------------------------------------------------------------- inference

    def coarse_logits(self, img: Tensor) -> Tensor:
        """Image (B 3 H W) → logits with details everywhere (B C h w), of the padded image."""
        return self.full_logits(img).fused

    def encode_decode(self, img: Tensor, img_metas: Sequence[dict] | None = None) -> Tensor:
        """Image (B 3 H W) → logits (B C H W)."""
        return self._enlarged(self.coarse_logits(img), img)

    def attention_map(self, img: Tensor) -> Tensor:
        """Image (B 3 H W) → how much of a pixel's prediction comes from its details (B 1 H W), 0–1: the mean
        of the attention over the classes, weighted by their probabilities."""
        logits = self.full_logits(img)
        attention = self.decode_head.upsample(logits.attention, logits.fused.shape[2:])
        mean = (attention * logits.fused.softmax(dim=1)).sum(dim=1, keepdim=True)
        return self._enlarged(mean, img)

    def full_logits(self, img: Tensor) -> FusedLogits:
        """Of an image (B 3 H W) after padding. Logits of details are averaged where windows overlap."""
        img = self._pad(img)
        size, head = img.shape[2:], self.decode_head
        areas, sharp = self._windows(size), self._sharp(img)
        windows = torch.cat([area.of(sharp) for area in areas])
        context, details = self.encode([self._resized(img, self.context_scale), windows])
        with self._autocast(img):
            coarse = head.head(context)
            attention = head.attention(context, coarse)
            fine = self._decode(details, windows.shape[1:])
        fine = self._mean_of_windows(fine.split(len(img)), areas, size)
        return head.fuse(coarse, attention, fine, Area(0, size[0], 0, size[1]), self.context_scale, size)

    def _windows(self, size: Sequence[int]) -> list[Area]:
        if not self.hr_slide_inference:
            return [Area(0, size[0], 0, size[1])]
        sides = []
        for length, window in zip(size, self.hr_crop_size):
            stride = window // 2 if self.hr_slide_overlapping else window
            origins = window_origins(length, window, stride)
            sides.append([(start, min(start + window, length)) for start in origins])
        return [Area(*rows, *columns) for rows in sides[0] for columns in sides[1]]

    def _decode(self, features: list[Tensor], shape: torch.Size) -> Tensor:
        if _uses_batch_statistics(self.decode_head.head):
            return self.decode_head.head(features)
        [logits] = self._in_parts(lambda part: [self.decode_head.head(part)], features, shape)
        return logits

    def _mean_of_windows(self, logits: Sequence[Tensor], areas: Sequence[Area],
                         size: Sequence[int]) -> Tensor:
        stride, first = self.decode_head.output_stride, precise(logits[0])
        total = first.new_zeros((*first.shape[:2], size[0] // stride, size[1] // stride))
        count = total.new_zeros((1, 1, *total.shape[2:]))
        for area, part in zip(areas, logits):
            cells = area.on_grid(1 / stride)
            cells.of(total).add_(part)
            cells.of(count).add_(1)
        return total / count

    def _in_parts(self, function: Callable[[list[Tensor]], list[Tensor]], inputs: list[Tensor],
                  shape: torch.Size) -> list[Tensor]:
        """``function`` of ``inputs``, tensors of the same N entries each, as many entries at once as
        ``pixels_at_once`` allows for images of ``shape`` (3 H W)."""
        most = max(1, self.pixels_at_once // (shape[1] * shape[2]))
        if torch.is_grad_enabled() or len(inputs[0]) <= most:
            return function(inputs)
        parts = [function(list(part)) for part in zip(*(x.split(most) for x in inputs))]
        return [torch.cat(maps) for maps in zip(*parts)]

    # ---------------------------------------------------------------------- sizes

    def _padded_size(self, size: Sequence[int]) -> tuple[int, int]:
        height, width = (side + -side % self.divisor for side in size)
        return height, width

    def _pad(self, img: Tensor) -> Tensor:
        height, width = self._padded_size(img.shape[2:])
        if (height, width) == tuple(img.shape[2:]):
            return img
        return F.pad(img, (0, width - img.shape[3], 0, height - img.shape[2]))

    def _sharp(self, img: Tensor) -> Tensor:
        """What details are taken of."""
        if not self.blur_hr_crop:
            return img
        return self.decode_head.resize(self._resized(img, 0.5), img.shape[2:])

    def _resized(self, img: Tensor, scale: float) -> Tensor:
        return self.decode_head.resize(img, [round(side * scale) for side in img.shape[2:]])

    def _enlarged(self, coarse: Tensor, img: Tensor) -> Tensor:
        enlarged = self.decode_head.upsample(coarse, self._padded_size(img.shape[2:]))
        return enlarged[..., :img.shape[2], :img.shape[3]]


def _uses_batch_statistics(*modules: nn.Module | None) -> bool:
    """Whether a result for one image depends on which others are in the batch."""
    return any(isinstance(layer, _BatchNorm) and (layer.training or not layer.track_running_stats)
               for module in modules if module is not None for layer in module.modules())


@functools.cache
def _tell_misaligned_crops(divisible: int, cell: int) -> None:
    get_root_logger().warning(
        f'model.crop_coord_divisible={divisible}: crops of details begin within cells of {cell} pixels, so '
        f'attention and details are up to half a cell apart; {cell} is right (the released rows have 8)')
