from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor


def window_origins(length: int, window: int, stride: int) -> Iterator[int]:
    """Origins of windows that cover ``length`` pixels; the last one is moved back to fit."""
    steps = max(length - window + stride - 1, 0) // stride + 1
    for i in range(steps):
        yield max(min(i * stride + window, length) - window, 0)


def slide_inference(predict: Callable[[Tensor], Tensor], img: Tensor, num_classes: int,
                    crop_size: Sequence[int], stride: Sequence[int], batched: bool = False) -> Tensor:
    """Mean of the logits of overlapping windows: (B 3 H W) → (B num_classes H W).

    Args:
        predict: crops (N 3 h w) → logits (N C h w).
        crop_size, stride: height and width in pixels.
        batched: all windows are one batch; otherwise one after another.
    """
    batch, _, height, width = img.shape
    areas = [(..., slice(top, top + crop_size[0]), slice(left, left + crop_size[1]))
             for top in window_origins(height, crop_size[0], stride[0])
             for left in window_origins(width, crop_size[1], stride[1])]
    crops = (img[area] for area in areas)
    predictions = predict(torch.cat([*crops])).split(batch) if batched else map(predict, crops)
    total = img.new_zeros((batch, num_classes, height, width))
    count = img.new_zeros((1, 1, height, width))
    for area, logits in zip(areas, predictions):
        total[area] += logits
        count[area] += 1
    return total / count
