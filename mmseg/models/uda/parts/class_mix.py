"""ClassMix: paste half of the source's classes onto the target image (Olsson et al., WACV 2021;
method.md, step 6)."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mmseg.utils import DataError
from mmseg.utils.labels import present_classes


def draw_class_masks(label: Tensor, per_image: bool = False, ignore_index: int | None = None,
                     present: Sequence[Sequence[int]] | None = None) -> Tensor:
    """Masks of the pasted pixels, M: (B 1 H W) uint8, 1 where the source is pasted.

    For each image in turn ``np.random`` draws (n + n mod 2) / 2 of n classes without replacement.

    Args:
        label: source labels y_S (B 1 H W), int64.
        per_image: draw from the classes of each image, not from those of the whole batch (DACS draws
            from the batch).
        ignore_index: a label that is never pasted; None lets 255 count as a class, as DACS does.
        present: the labels in each of the B images, ascending, if they are known: to find them, the host
            has to synchronize with the GPU that holds ``label``.
    """
    if present is None:
        present = [present_classes(y) for y in label.cpu().numpy()]
    of_batch = sorted(set().union(*present))
    pasted = torch.zeros(len(label), of_batch[-1] + 1, dtype=torch.uint8)
    for i, of_image in enumerate(present):
        pasted[i, _draw_half(of_image if per_image else of_batch, ignore_index)] = 1
    pasted = pasted.to(label.device, non_blocking=True)
    return pasted.gather(1, label.flatten(1)).view(label.shape)


def _draw_half(classes: Sequence[int], ignore_index: int | None) -> list[int]:
    classes = [c for c in classes if c != ignore_index]
    count = len(classes)
    return [classes[k] for k in np.random.choice(count, (count + count % 2) // 2, replace=False)]


def mix(mask: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """M·source + (1 − M)·target; ``mask`` (B 1 H W) is broadcast over channels.

    Raises:
        DataError: source and target differ in height or width.
    """
    if source.shape[-2:] != target.shape[-2:]:
        sizes = ' and '.join(f'{x.shape[-1]}x{x.shape[-2]}' for x in (source, target))
        raise DataError(f'source and target have crops of {sizes} pixels, which cannot be mixed: give their '
                        f'pipelines '
                        'one crop_size')
    return torch.where(mask.bool(), source, target)
