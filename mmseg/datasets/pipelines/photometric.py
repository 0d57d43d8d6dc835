"""Transforms that change values and leave pixels where they are."""
from __future__ import annotations

from collections.abc import Sequence

import mmcv
import numpy as np

from mmseg.utils import UserError

from ..builder import PIPELINES
from .formatting import FULL


@PIPELINES.register_module()
class Normalize:
    """(img − mean) / std per channel, to float32, of img and full_img; sets img_norm_cfg.

    Args:
        mean: per channel, in units of 0 … 255, in the order of the output's channels.
        std: per channel, likewise.
        to_rgb: turn BGR into RGB first; for images of three channels.

    Raises (when called):
        UserError: an image with another number of channels.
    """

    deterministic = keeps_labels = True

    def __init__(self, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True):
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)
        self.to_rgb = to_rgb

    def __call__(self, results: dict) -> dict:
        channels = 1 if results['img'].ndim < 3 else results['img'].shape[2]
        if not self.mean.size == self.std.size == channels or self.to_rgb and channels != 3:
            raise UserError(f'Normalize: an image has {channels} channels, and mean {self.mean.size}, std '
                            f'{self.std.size}, to_rgb={self.to_rgb}: give one mean and std for each, and '
                            'to_rgb=False unless they are three; or load with color_type=\'color\'')
        for key in [key for key in ('img', FULL) if key in results]:
            results[key] = mmcv.imnormalize(results[key], self.mean, self.std, self.to_rgb)
        results['img_norm_cfg'] = dict(mean=self.mean, std=self.std, to_rgb=self.to_rgb)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(mean={self.mean}, std={self.std}, to_rgb={self.to_rgb})'


@PIPELINES.register_module()
class PhotoMetricDistortion:
    """Brightness, contrast, saturation and hue, each with probability ½; contrast comes before or
    after the two that work in HSV, with probability ½ each (the order of SSD, Liu et al. 2016).

    Takes and gives uint8 BGR. Of images of more bands the first three change; a grey one (H W) has neither
    saturation nor hue.

    Args:
        brightness_delta: greatest shift, in grey levels.
        contrast_range: (least, greatest) factor.
        saturation_range: (least, greatest) factor.
        hue_delta: greatest shift, in OpenCV's half degrees (0 … 179).
    """

    def __init__(self, brightness_delta: float = 32, contrast_range: tuple[float, float] = (0.5, 1.5),
                 saturation_range: tuple[float, float] = (0.5, 1.5), hue_delta: int = 18):
        self.brightness_delta, self.hue_delta = brightness_delta, hue_delta
        self.contrast_range, self.saturation_range = contrast_range, saturation_range

    @staticmethod
    def _linear(img: np.ndarray, factor: float = 1, shift: float = 0) -> np.ndarray:
        return np.clip(img.astype(np.float32) * factor + shift, 0, 255).astype(np.uint8)

    def _brightness(self, img: np.ndarray) -> np.ndarray:
        if not np.random.randint(2):
            return img
        return self._linear(img, shift=np.random.uniform(-self.brightness_delta, self.brightness_delta))

    def _contrast(self, img: np.ndarray) -> np.ndarray:
        return self._linear(img, np.random.uniform(*self.contrast_range)) if np.random.randint(2) else img

    def _saturation(self, img: np.ndarray) -> np.ndarray:
        if not np.random.randint(2) or img.ndim < 3:
            return img
        hsv = mmcv.bgr2hsv(img)
        hsv[..., 1] = self._linear(hsv[..., 1], np.random.uniform(*self.saturation_range))
        return mmcv.hsv2bgr(hsv)

    def _hue(self, img: np.ndarray) -> np.ndarray:
        if not np.random.randint(2) or img.ndim < 3:
            return img
        hsv = mmcv.bgr2hsv(img)
        shift = np.random.randint(-self.hue_delta, self.hue_delta)
        hsv[..., 0] = (hsv[..., 0].astype(int) + shift) % 180
        return mmcv.hsv2bgr(hsv)

    def __call__(self, results: dict) -> dict:
        whole = results['img']
        img = self._brightness(whole[..., :3] if whole.ndim > 2 and whole.shape[2] > 3 else whole)
        contrast_first = np.random.randint(2) == 1
        if contrast_first:
            img = self._contrast(img)
        img = self._hue(self._saturation(img))
        if not contrast_first:
            img = self._contrast(img)
        results['img'] = img if img.shape == whole.shape else np.concatenate([img, whole[..., 3:]], axis=2)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(brightness_delta={self.brightness_delta}, '
                f'contrast_range={self.contrast_range}, saturation_range={self.saturation_range}, '
                f'hue_delta={self.hue_delta})')


@PIPELINES.register_module()
class Rerange:
    """Maps the image's own extremes to min_value … max_value, as float32; a constant image becomes
    ``min_value``."""

    deterministic = True

    def __init__(self, min_value: float = 0, max_value: float = 255):
        if min_value >= max_value:
            raise UserError(f'Rerange: min_value {min_value} must be below max_value {max_value}')
        self.min_value, self.max_value = min_value, max_value

    def __call__(self, results: dict) -> dict:
        img = results['img'].astype(np.float32)
        low, high = img.min(), img.max()
        share = (img - low) / max(high - low, np.finfo(np.float32).tiny)
        results['img'] = share * (self.max_value - self.min_value) + self.min_value
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_value={self.min_value}, max_value={self.max_value})'


@PIPELINES.register_module()
class CLAHE:
    """Contrast-limited adaptive histogram equalisation of each channel (Zuiderveld 1994).

    Args:
        clip_limit: threshold of contrast.
        tile_grid_size: (tiles per row, tiles per column).
    """

    deterministic = True

    def __init__(self, clip_limit: float = 40.0, tile_grid_size: tuple[int, int] = (8, 8)):
        self.clip_limit, self.tile_grid_size = clip_limit, tuple(tile_grid_size)

    def __call__(self, results: dict) -> dict:
        img = np.atleast_3d(results['img'])
        channels = [mmcv.clahe(np.ascontiguousarray(img[..., c], np.uint8), self.clip_limit,
                               self.tile_grid_size) for c in range(img.shape[2])]
        results['img'] = np.stack(channels, axis=-1).reshape(results['img'].shape)
        return results

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(clip_limit={self.clip_limit}, '
                f'tile_grid_size={self.tile_grid_size})')


@PIPELINES.register_module()
class RGB2Gray:
    """Turns the image grey: the weighted sum of its channels, repeated.

    Args:
        out_channels: number of channels of the output; None keeps the input's.
        weights: of the three channels.
    """

    deterministic = True

    def __init__(self, out_channels: int | None = None,
                 weights: tuple[float, float, float] = (0.299, 0.587, 0.114)):
        if out_channels is not None and out_channels <= 0:
            raise UserError(f'RGB2Gray: out_channels must be > 0, got {out_channels}')
        self.out_channels, self.weights = out_channels, tuple(weights)

    def __call__(self, results: dict) -> dict:
        img = results['img']
        if img.ndim != 3 or img.shape[2] != len(self.weights):
            raise UserError(f'RGB2Gray: the image has the shape {img.shape}, expected '
                            f'{len(self.weights)} channels')
        grey = (img @ np.array(self.weights, np.float64)).astype(img.dtype)[..., None]
        results['img'] = grey.repeat(self.out_channels or img.shape[2], axis=2)
        results['img_shape'] = results['img'].shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(out_channels={self.out_channels}, weights={self.weights})'


@PIPELINES.register_module()
class AdjustGamma:
    """v ↦ 255 · (v / 255)^(1 / gamma) on uint8 values, truncated.

    Args:
        gamma: > 0; above 1 the image becomes brighter.
    """

    deterministic = True

    def __init__(self, gamma: float = 1.0):
        if gamma <= 0:
            raise UserError(f'AdjustGamma: gamma must be > 0, got {gamma}')
        self.gamma = gamma
        self.table = ((np.arange(256) / 255) ** (1 / gamma) * 255).astype(np.uint8)

    def __call__(self, results: dict) -> dict:
        results['img'] = self.table[results['img'].astype(np.uint8)]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(gamma={self.gamma})'


@PIPELINES.register_module()
class RandomCutOut:
    """Covers random rectangles (DeVries & Taylor 2017) with probability ``prob``.

    Args:
        prob: 0 … 1.
        n_holes: how many, or (least, greatest) number.
        cutout_shape: (width, height) in pixels, or a list of them to choose from.
        cutout_ratio: instead of the shape, shares of the image's width and height.
        fill_in: value of covered image pixels, per channel.
        seg_fill_in: value of covered label pixels; None leaves the labels.
    """

    def __init__(self, prob: float, n_holes: int | tuple[int, int],
                 cutout_shape: Sequence | None = None, cutout_ratio: Sequence | None = None,
                 fill_in: tuple[float, float, float] = (0, 0, 0), seg_fill_in: int | None = None):
        if not 0 <= prob <= 1:
            raise UserError(f'RandomCutOut: prob must be in 0 ... 1, got {prob}')
        if (cutout_shape is None) == (cutout_ratio is None):
            raise UserError('RandomCutOut: give either cutout_shape or cutout_ratio')
        self.prob = prob
        self.n_holes = (n_holes, n_holes) if isinstance(n_holes, int) else tuple(n_holes)
        self.with_ratio = cutout_ratio is not None
        sizes = cutout_ratio if self.with_ratio else cutout_shape
        self.candidates = list(sizes) if isinstance(sizes[0], list | tuple) else [sizes]
        self.fill_in, self.seg_fill_in = fill_in, seg_fill_in

    def __call__(self, results: dict) -> dict:
        fire = np.random.rand() < self.prob
        holes = np.random.randint(self.n_holes[0], self.n_holes[1] + 1)
        if not fire:
            return results
        height, width = results['img'].shape[:2]
        covered = ['img'] if self.seg_fill_in is None else ['img', *results.get('seg_fields', [])]
        for key in covered:
            results[key] = results[key].copy()
        for _ in range(holes):
            left, top = np.random.randint(0, width), np.random.randint(0, height)
            hole_w, hole_h = self.candidates[np.random.randint(len(self.candidates))]
            if self.with_ratio:
                hole_w, hole_h = int(hole_w * width), int(hole_h * height)
            for key in covered:
                value = self.fill_in if key == 'img' else self.seg_fill_in
                results[key][top:top + hole_h, left:left + hole_w] = value
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, n_holes={self.n_holes})'
