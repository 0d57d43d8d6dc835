"""Rectified pseudo-labels (ProDA: Zhang et al., CVPR 2021, eq. 4–6; microsoft/ProDA)."""
from __future__ import annotations

import torch
from torch import Tensor


def prototype_weight(distance: Tensor, temperature: float = 1.0) -> Tensor:
    """ω = softmax(−(d − min d)/τ) over the classes of distances to the prototypes (B C h w), sums to 1."""
    return torch.softmax((distance.amin(dim=1, keepdim=True) - distance) / temperature, dim=1)


def rectify(soft_label: Tensor, weight: Tensor) -> Tensor:
    """ω·p, normalised to sum 1 over the classes; probabilities and weights (B C h w)."""
    product = soft_label * weight
    return product / product.sum(dim=1, keepdim=True)


def rectified_label(soft_label: Tensor, distance: Tensor, threshold: float = 0.0,
                    ignore_index: int = 255) -> tuple[Tensor, Tensor]:
    """The label of training: argmax of the rectified soft label.

    Args:
        soft_label: stored probabilities (B C h w) of the network of the previous stage.
        distance: of the teacher's features to the prototypes (B C h w), as ``Prototypes.distance``.
        threshold: below this confidence a pixel is ignored, 0–1. The authors keep every pixel.

    Returns:
        labels (B h w) int64, and the rectified probabilities (B C h w).
    """
    rectified = rectify(soft_label, prototype_weight(distance))
    confidence, label = rectified.max(dim=1)
    return label.masked_fill(confidence < threshold, ignore_index), rectified
