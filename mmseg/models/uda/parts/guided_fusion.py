"""Fusion of the predictions for a dark image and for its daytime reference (MGCDA: Sakaridis et al., TPAMI
2020, section 3.3; sakaridis/MGCDA)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

DYNAMIC_CLASSES = (11, 12, 13, 14, 15, 16, 17, 18)  # person … bicycle, which have moved in between


def fusion_weight(dark: Tensor, day: Tensor, dynamic: Sequence[int] = DYNAMIC_CLASSES, high: float = 0.6,
                  low: float = 0.3, threshold: float = 0.2) -> Tensor:
    """α of every pixel (B 1 H W): how far the day is trusted.

    ``low`` where either map is for a dynamic class to which the other gives at most ``threshold``, else
    ``high``.

    Args:
        dark, day: probabilities (B C H W).
    """
    classes = torch.tensor(list(dynamic)).to(dark.device, non_blocking=True)
    doubtful = _contradicted(dark, day, classes, threshold) | _contradicted(day, dark, classes, threshold)
    return torch.where(doubtful, low, high).to(dark.dtype)


def _contradicted(one: Tensor, other: Tensor, classes: Tensor, threshold: float) -> Tensor:
    best = one.argmax(dim=1, keepdim=True)
    return torch.isin(best, classes) & (other.gather(1, best) <= threshold)


def fuse(dark: Tensor, day: Tensor, alpha: Tensor | float) -> Tensor:
    """S = (F_d·S_d + α·F_l·S_l) / (F_d + α·F_l), F the largest probability of a pixel: (B C H W)."""
    of_dark = dark.amax(dim=1, keepdim=True)
    of_day = alpha * day.amax(dim=1, keepdim=True)
    return (of_dark * dark + of_day * day) / (of_dark + of_day)


def guided_fusion(dark: Tensor, day: Tensor, dynamic: Sequence[int] = DYNAMIC_CLASSES) -> Tensor:
    """Refined probabilities of the dark image, of its own and of the aligned day's (B C H W). Their argmax is
    the pseudo-label."""
    return fuse(dark, day, fusion_weight(dark, day, dynamic))
