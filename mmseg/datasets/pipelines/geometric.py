"""Transforms that move pixels: resize, crop, flip, pad, rotate, cut out."""
from __future__ import annotations

from collections.abc import Sequence

import mmcv
import numpy as np

from mmseg.utils import UserError

from ..builder import PIPELINES
from ..pseudo_labels import VALID
from .loading import count_values

Size = tuple[int, int]


@PIPELINES.register_module()
class Resize:
    """Resizes the image and the label maps (nearest).

    The scale (width, height) is ``results['scale']`` if that is set and ``override`` is not, otherwise

    - ``ratio_range``: ``img_scale`` (or, without one, the image's size) times a ratio drawn from
    it,
    - one ``img_scale``: that one,
    - several, ``multiscale_mode='range'``: long and short side drawn between their extremes,
    - several, ``multiscale_mode='value'``: one of them.

    Sets img_shape, pad_shape, scale, scale_factor (w, h, w, h; float32) and keep_ratio.

    Args:
        img_scale: (width, height), or a list of them.
        multiscale_mode: 'range' or 'value'.
        ratio_range: (least, greatest) ratio.
        keep_ratio: fit into the scale keeping the aspect ratio; otherwise stretch to it.
        interpolation: of the image, 'bilinear' or 'bicubic'.
        backend: 'cv2', or 'pillow', which smooths what it makes smaller; of uint8 images.
        override: choose a scale though one is set, of an earlier Resize.
    """

    def __init__(self, img_scale: Size | Sequence[Size] | None = None, multiscale_mode: str = 'range',
                 ratio_range: tuple[float, float] | None = None, keep_ratio: bool = True,
                 interpolation: str = 'bilinear', backend: str = 'cv2', override: bool = False):
        scales = [] if img_scale is None else img_scale
        if scales and not isinstance(scales[0], list | tuple):
            scales = [scales]
        self.img_scale = [tuple(scale) for scale in scales] or None
        if multiscale_mode not in ('range', 'value'):
            raise UserError(f"Resize: multiscale_mode must be 'range' or 'value', got "
                            f"'{multiscale_mode}'")
        if ratio_range is not None and len(scales) > 1:
            raise UserError('Resize: ratio_range goes with one img_scale, not with several')
        if multiscale_mode == 'range' and len(scales) > 2:
            raise UserError("Resize: multiscale_mode='range' takes two img_scale, from and to")
        for name, value, known in (('interpolation', interpolation, ('bilinear', 'bicubic')),
                                   ('backend', backend, ('cv2', 'pillow'))):
            if value not in known:
                raise UserError(f"Resize: {name} '{value}', expected {' or '.join(known)}")
        self.interpolation, self.backend, self.override = interpolation, backend, override
        self.multiscale_mode, self.ratio_range, self.keep_ratio = multiscale_mode, ratio_range, keep_ratio

    @property
    def deterministic(self) -> bool:
        return self.ratio_range is None and len(self.img_scale or ()) == 1

    def __call__(self, results: dict) -> dict:
        if self.override or 'scale' not in results:
            results['scale'] = self._draw_scale(results['img'])
        self._resize_image(results)
        for key in results.get('seg_fields', []):
            results[key] = self._resized(results[key], results['scale'], 'nearest')
        return results

    def _resized(self, img: np.ndarray, scale: Size, interpolation: str) -> np.ndarray:
        resize = mmcv.imrescale if self.keep_ratio else mmcv.imresize
        return resize(img, scale, interpolation=interpolation, backend=self.backend)

    def _draw_scale(self, img: np.ndarray) -> Size:
        if self.ratio_range is not None:
            width, height = self.img_scale[0] if self.img_scale else img.shape[1::-1]
            least, greatest = self.ratio_range
            ratio = np.random.random_sample() * (greatest - least) + least
            return int(width * ratio), int(height * ratio)
        if self.img_scale is None:
            raise UserError("Resize: give img_scale or ratio_range (the scale is set by "
                            "MultiScaleFlipAug "
                            'at test time only)')
        if len(self.img_scale) == 1:
            return self.img_scale[0]
        if self.multiscale_mode == 'value':
            return self.img_scale[np.random.randint(len(self.img_scale))]
        longs = [max(scale) for scale in self.img_scale]
        shorts = [min(scale) for scale in self.img_scale]
        return (np.random.randint(min(longs), max(longs) + 1),
                np.random.randint(min(shorts), max(shorts) + 1))

    def _resize_image(self, results: dict) -> None:
        old_h, old_w = results['img'].shape[:2]
        img = self._resized(results['img'], results['scale'], self.interpolation)
        w_scale, h_scale = img.shape[1] / old_w, img.shape[0] / old_h
        results.update(img=img, img_shape=img.shape, pad_shape=img.shape, keep_ratio=self.keep_ratio,
                       scale_factor=np.array([w_scale, h_scale, w_scale, h_scale], np.float32))

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(img_scale={self.img_scale}, '
                f"multiscale_mode='{self.multiscale_mode}', ratio_range={self.ratio_range}, "
                f"keep_ratio={self.keep_ratio}, interpolation='{self.interpolation}', "
                f"backend='{self.backend}', override={self.override})")


@PIPELINES.register_module()
class RandomCrop:
    """Cuts a window at a random place.

    With ``cat_max_ratio`` < 1 a window counts as good when it holds more than one class and none
    covers that share or more of its pixels that are not ignored. Up to ten windows are looked at;
    if none is good an eleventh is taken as it is. Notes crop_from, the size (height, width) of what it
    cuts, and crop_bbox (top, bottom, left, right).

    Args:
        crop_size: (height, width); a smaller image is kept whole along that side.
        cat_max_ratio: greatest share of one class.
        ignore_index: label that does not count.
    """

    copies_input = True

    def __init__(self, crop_size: Size, cat_max_ratio: float = 1., ignore_index: int = 255):
        if len(crop_size) != 2 or min(crop_size) <= 0:
            raise UserError(f'RandomCrop: crop_size must be (height, width) > 0, got {crop_size}')
        self.crop_size = tuple(crop_size)
        self.cat_max_ratio, self.ignore_index = cat_max_ratio, ignore_index

    def get_crop_bbox(self, img: np.ndarray) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of a random window."""
        margin_h = max(img.shape[0] - self.crop_size[0], 0)
        margin_w = max(img.shape[1] - self.crop_size[1], 0)
        top = np.random.randint(0, margin_h + 1)
        left = np.random.randint(0, margin_w + 1)
        return top, top + self.crop_size[0], left, left + self.crop_size[1]

    @staticmethod
    def crop(img: np.ndarray, bbox: tuple[int, int, int, int]) -> np.ndarray:
        top, bottom, left, right = bbox
        return img[top:bottom, left:right, ...]

    def _is_good(self, label: np.ndarray) -> bool:
        counts = count_values(label)
        counts[self.ignore_index] = 0
        return np.count_nonzero(counts) > 1 and counts.max() / counts.sum() < self.cat_max_ratio

    def __call__(self, results: dict) -> dict:
        img = results['img']
        bbox = self.get_crop_bbox(img)
        if self.cat_max_ratio < 1. and 'gt_semantic_seg' in results:
            for _ in range(10):
                if self._is_good(self.crop(results['gt_semantic_seg'], bbox)):
                    break
                bbox = self.get_crop_bbox(img)
        results.update(crop_from=img.shape[:2], crop_bbox=bbox)
        # copies: the image may be one of a cache, from which the rows of the window alone are read
        results['img'] = self.crop(img, bbox).copy()
        results['img_shape'] = results['pad_shape'] = results['img'].shape
        for key in results.get('seg_fields', []):
            results[key] = self.crop(results[key], bbox).copy()
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size}, cat_max_ratio={self.cat_max_ratio})'


@PIPELINES.register_module()
class RandomFlip:
    """Mirrors image and label maps with probability ``prob``, or as ``results['flip']`` says if
    set.

    Args:
        prob: 0 … 1; None never flips by itself.
        direction: 'horizontal', 'vertical' or 'diagonal'.
        flip_ratio: the older name of ``prob``.
    """

    def __init__(self, prob: float | None = None, direction: str = 'horizontal',
                 flip_ratio: float | None = None):
        self.prob = flip_ratio if prob is None else prob
        if self.prob is not None and not 0 <= self.prob <= 1:
            raise UserError(f'RandomFlip: prob must be in 0 ... 1, got {self.prob}')
        if direction not in ('horizontal', 'vertical', 'diagonal'):
            raise UserError("RandomFlip: direction must be 'horizontal', 'vertical' or 'diagonal', "
                            f"got '{direction}'")
        self.direction = direction

    def __call__(self, results: dict) -> dict:
        if 'flip' not in results:
            results['flip'] = self.prob is not None and bool(np.random.rand() < self.prob)
        results.setdefault('flip_direction', self.direction)
        if results['flip']:
            for key in ['img', *results.get('seg_fields', [])]:
                results[key] = mmcv.imflip(results[key], direction=results['flip_direction'])
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prob={self.prob}, direction='{self.direction}')"


def _in_each_channel(value: float, img: np.ndarray) -> float | tuple[float, ...]:
    """OpenCV takes a number as the value of the first channel alone."""
    return value if img.ndim == 2 else (value,) * img.shape[2]


def _outside(key: str, seg_pad_val: int) -> int:
    """What a map has where there is no image: pseudo-labels do not count there."""
    return 0 if key == VALID else seg_pad_val


@PIPELINES.register_module()
class Pad:
    """Pads below and to the right, to ``size`` or to a multiple of ``size_divisor``.

    Args:
        size: (height, width).
        size_divisor: instead of ``size``.
        pad_val: value of new image pixels.
        seg_pad_val: value of new label pixels.
    """

    deterministic = True

    def __init__(self, size: Size | None = None, size_divisor: int | None = None, pad_val: float = 0,
                 seg_pad_val: int = 255):
        if (size is None) == (size_divisor is None):
            raise UserError('Pad: give either size or size_divisor')
        self.size = None if size is None else tuple(size)
        self.size_divisor, self.pad_val, self.seg_pad_val = size_divisor, pad_val, seg_pad_val

    @property
    def keeps_labels(self) -> bool:
        return self.seg_pad_val == 255  # which is no class

    def __call__(self, results: dict) -> dict:
        if self.size is not None:
            height, width = (max(a, b) for a, b in zip(self.size, results['img'].shape))
        else:
            height, width = (-(-side // self.size_divisor) * self.size_divisor
                             for side in results['img'].shape[:2])
        results['img'] = mmcv.impad(results['img'], shape=(height, width),
                                    pad_val=_in_each_channel(self.pad_val, results['img']))
        for key in results.get('seg_fields', []):
            results[key] = mmcv.impad(results[key], shape=(height, width),
                                      pad_val=_outside(key, self.seg_pad_val))
        results.update(pad_shape=results['img'].shape, pad_fixed_size=self.size,
                       pad_size_divisor=self.size_divisor)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(size={self.size}, size_divisor={self.size_divisor}, '
                f'pad_val={self.pad_val}, seg_pad_val={self.seg_pad_val})')


@PIPELINES.register_module()
class RandomRotate:
    """Rotates image (bilinear) and label maps (nearest) with probability ``prob``.

    Args:
        prob: 0 … 1.
        degree: (least, greatest) angle in degrees, clockwise; a number d means (−d, d).
        pad_val: value of uncovered image pixels.
        seg_pad_val: value of uncovered label pixels.
        center: (x, y) in pixels; None is the middle.
        auto_bound: enlarge the image so that all of it stays visible.
    """

    def __init__(self, prob: float, degree: float | tuple[float, float], pad_val: float = 0,
                 seg_pad_val: int = 255, center: tuple[float, float] | None = None,
                 auto_bound: bool = False):
        if not 0 <= prob <= 1:
            raise UserError(f'RandomRotate: prob must be in 0 ... 1, got {prob}')
        self.prob = prob
        self.degree = (-degree, degree) if isinstance(degree, int | float) else tuple(degree)
        self.pad_val, self.seg_pad_val = pad_val, seg_pad_val
        self.center, self.auto_bound = center, auto_bound

    def __call__(self, results: dict) -> dict:
        rotate = np.random.rand() < self.prob
        angle = np.random.uniform(min(self.degree), max(self.degree))
        if rotate:
            where = dict(angle=angle, center=self.center, auto_bound=self.auto_bound)
            border = _in_each_channel(self.pad_val, results['img'])
            results['img'] = mmcv.imrotate(results['img'], border_value=border, **where)
            for key in results.get('seg_fields', []):
                results[key] = mmcv.imrotate(results[key], border_value=_outside(key, self.seg_pad_val),
                                             interpolation='nearest', **where)
            results['img_shape'] = results['pad_shape'] = results['img'].shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, degree={self.degree})'


@PIPELINES.register_module()
class SegRescale:
    """Rescales the label maps (nearest) by ``scale_factor``."""

    deterministic = True

    def __init__(self, scale_factor: float = 1):
        self.scale_factor = scale_factor

    def __call__(self, results: dict) -> dict:
        if self.scale_factor != 1:
            for key in results.get('seg_fields', []):
                results[key] = mmcv.imrescale(results[key], self.scale_factor, interpolation='nearest')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale_factor={self.scale_factor})'
