"""The weak view of a target image, repeated on maps of the full image (ProDA; microsoft/ProDA)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.utils import DataError


@dataclass(frozen=True)
class WeakView:
    """How one training crop was made from its full image: resized, cropped, flipped. All in pixels.

    Args:
        size: height and width after resizing.
        corner: top and left of the crop.
        crop: height and width of the crop.
        flip: whether it was mirrored from left to right.
    """

    size: tuple[int, int]
    corner: tuple[int, int]
    crop: tuple[int, int]
    flip: bool

    @classmethod
    def of(cls, meta: Mapping[str, Any]) -> WeakView:
        """The view that a crop's meta data tell of (``full_images`` of a data set)."""
        top, bottom, left, right = meta['crop_bbox']
        return cls(tuple(meta['crop_from']), (top, left), (bottom - top, right - left), bool(meta['flip']))

    def __call__(self, features: Tensor, stride: int = 4) -> Tensor:
        """The same view of a map (1 D h w) of the full image, at 1/``stride`` of the crop's resolution.

        Raises:
            DataError: the crop leaves the image.
        """
        (height, width), (top, left), (rows, columns) = (
            tuple(side // stride for side in pair) for pair in (self.size, self.corner, self.crop))
        if top + rows > height or left + columns > width:
            raise DataError(f'a crop of {self.crop} pixels at {self.corner} leaves the image of {self.size}')
        resized = F.interpolate(features, (height, width), mode='bilinear', align_corners=True)
        cropped = resized[..., top:top + rows, left:left + columns]
        return cropped.flip(-1) if self.flip else cropped


def weak_views(features: Tensor, views: Sequence[WeakView], stride: int = 4) -> Tensor:
    """Maps of full images (B D h w) → those of their weak views; the crops have one size."""
    return torch.cat([view(feature, stride) for feature, view in zip(features.split(1), views)])


def crop_views(batch: Mapping[str, Any]) -> Sequence[WeakView] | None:
    """How the target's crops of a batch were made from its full images, which stand in ``target_views`` or in
    the meta data of the crops; None where the batch has no full images."""
    if 'target_full_img' not in batch:
        return None
    return batch.get('target_views') or [WeakView.of(meta) for meta in batch['target_img_metas']]


def cut_probabilities(coarse: Tensor, full: Tensor, views: Sequence[WeakView]) -> Tensor:
    """Probabilities of full images, at any resolution (B C h w) → of the crops (B C H W). They are enlarged
    to the size of ``full`` (B 3 H' W') first, as the authors' stored ones are; one by one, for the memory.
    """
    enlarged = (F.interpolate(one, full.shape[-2:], mode='bilinear', align_corners=True)
                for one in coarse.split(1))
    return torch.cat([view(one, stride=1) for one, view in zip(enlarged, views)])
