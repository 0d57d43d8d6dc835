"""Pseudo-labels of a night image with the help of the day image of the same place (DANNet: Wu et al., CVPR
2021, section 3.4; W-zx-Y/DANNet)."""
from __future__ import annotations

import torch
from torch import Tensor

from ...utils.class_weight import reweight


def day_night_label(day: Tensor, night: Tensor, weight: Tensor, static: int = 11, threshold: float = 0.4,
                    trust: float = 0.8, ignore_index: int = 255) -> Tensor:
    """Labels of the static classes for the night image, (B H W) int64; others are ignored.

    The score of a static class is t·day + (1 − t)·night with t = ``trust`` where the day's score is above
    ``threshold``, else 1 − ``trust``; dynamic ones, which have moved in between, take the night's score.
    Scores times class weights; argmax. The authors' scores are logits, though their paper says probabilities.

    Args:
        day, night: scores (B C H W), the static classes first. No gradient.
        weight: w_c (C).
    """
    day, night = day.detach(), night.detach()
    share = torch.where(day[:, :static] > threshold, trust, 1 - trust)
    fused = torch.lerp(night[:, :static], day[:, :static], share)
    scores = reweight(torch.cat([fused, night[:, static:]], dim=1), weight)
    label = scores.argmax(dim=1)
    return label.masked_fill(label >= static, ignore_index)
