"""ClassMix: paste half of the source's classes onto the target image (Olsson et al., WACV 2021;
method.md, step 6)."""
from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def draw_class_masks(label: Tensor, per_image: bool = False, ignore_index: int | None = None) -> Tensor:
    """Masks of the pasted pixels, M: (B 1 H W) uint8, 1 where the source is pasted.

    For each image in turn ``np.random`` draws (n + n mod 2) / 2 of n classes without replacement.

    Args:
        label: source labels y_S (B 1 H W), int64.
        per_image: draw from the classes of each image, not from those of the whole batch (DACS draws
            from the batch).
        ignore_index: a label that is never pasted; None lets 255 count as a class, as DACS does.
    """
    batch_classes = label.unique()
    return torch.stack([_draw_mask(y, y.unique() if per_image else batch_classes, ignore_index)
                        for y in label])


def _draw_mask(label: Tensor, classes: Tensor, ignore_index: int | None) -> Tensor:
    if ignore_index is not None:
        classes = classes[classes != ignore_index]
    count = len(classes)
    drawn = np.random.choice(count, (count + count % 2) // 2, replace=False)
    chosen = classes[torch.from_numpy(drawn).to(classes.device)]
    return torch.isin(label, chosen).to(torch.uint8)


def mix(mask: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """M·source + (1 − M)·target; ``mask`` (B 1 H W) is broadcast over channels."""
    return torch.where(mask.bool(), source, target)
