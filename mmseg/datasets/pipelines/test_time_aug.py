"""The same image at several scales and mirrored."""
from __future__ import annotations

import itertools
from collections.abc import Sequence

from mmseg.utils import UserError

from ..builder import PIPELINES
from .compose import Compose


@PIPELINES.register_module()
class MultiScaleFlipAug:
    """Runs ``transforms`` once per scale and flip, and gives every field as a list over them.

    The order: scales outside, then no flip, then the flips.

    Args:
        transforms: with Resize, which takes the scale, and RandomFlip, which takes the flip.
        img_scale: (width, height), or a list of them; None with ``img_ratios`` scales the image's
            own size.
        img_ratios: factors of ``img_scale``; a number, or a list of them.
        flip: also mirrored.
        flip_direction: 'horizontal', 'vertical' or 'diagonal', or a list of them.
    """

    def __init__(self, transforms: Sequence[dict], img_scale: Sequence | None = None,
                 img_ratios: float | Sequence[float] | None = None, flip: bool = False,
                 flip_direction: str | Sequence[str] = 'horizontal'):
        self.transforms = Compose(transforms)
        scales = [] if img_scale is None else img_scale
        if scales and not isinstance(scales[0], list | tuple):
            scales = [scales]
        self.ratios = [img_ratios] if isinstance(img_ratios, int | float) else list(img_ratios or [])
        if not scales and not self.ratios:
            raise UserError('MultiScaleFlipAug: give img_scale or img_ratios')
        if len(scales) > 1 and self.ratios:
            raise UserError('MultiScaleFlipAug: img_ratios go with one img_scale, not with several')
        self.img_scale = [tuple(scale) for scale in scales]
        self.flip = flip
        self.flip_direction = [flip_direction] if isinstance(flip_direction, str) else flip_direction

    def scales(self, width: int, height: int) -> list[tuple[int, int]]:
        """The scales (width, height) for an image of that size."""
        if not self.ratios:
            return self.img_scale
        base_w, base_h = self.img_scale[0] if self.img_scale else (width, height)
        return [(int(base_w * ratio), int(base_h * ratio)) for ratio in self.ratios]

    def __call__(self, results: dict) -> dict:
        height, width = results['img'].shape[:2]
        flips = [(False, self.flip_direction[0])]
        if self.flip:
            flips += [(True, direction) for direction in self.flip_direction]
        variants = [
            self.transforms({**results, 'scale': scale, 'flip': flip, 'flip_direction': direction,
                             'seg_fields': list(results.get('seg_fields', []))})
            for scale, (flip, direction) in itertools.product(self.scales(width, height), flips)]
        return {key: [variant[key] for variant in variants] for key in variants[0]}

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(transforms={self.transforms}, img_scale={self.img_scale}, '
                f'flip={self.flip}, flip_direction={self.flip_direction})')
