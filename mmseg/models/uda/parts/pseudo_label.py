"""Pseudo-labels and their weight (method.md, step 5)."""
from __future__ import annotations

import torch
from torch import Tensor


def pseudo_label(logits: Tensor, threshold: float | None) -> tuple[Tensor, Tensor]:
    """Class of every pixel, and the share of confident pixels of the whole batch.

    Args:
        logits: the teacher's, (B C H W).
        threshold: τ; a pixel is confident if its largest probability is at least τ. None makes
            q 1.

    Returns:
        ŷ (B H W) int64, and q, a 0-dim float tensor, 0–1.
    """
    confidence, label = torch.softmax(logits, dim=1).max(dim=1)
    if threshold is None:
        return label, torch.ones_like(confidence[0, 0, 0])
    return label, (confidence >= threshold).float().mean()


def pixel_weight(quality: Tensor, shape: torch.Size, ignore_top: int = 0, ignore_bottom: int = 0) -> Tensor:
    """q everywhere (B H W) but 0 in the first and last rows, where a car's bonnet and the borders of
    rectified images are."""
    weight = quality.new_zeros(shape)
    weight[:, ignore_top:shape[1] - ignore_bottom] = quality
    return weight
