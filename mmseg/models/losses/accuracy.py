from __future__ import annotations

from torch import Tensor


def accuracy(pred: Tensor, target: Tensor, topk: int = 1, thresh: float | None = None) -> Tensor:
    """Percentage of pixels whose class is among the ``topk`` scores, as a 0-dim tensor (0–100).

    Ignored pixels count as wrong: the reference implementation's ``acc_seg`` divides by the number of all
    pixels.

    Args:
        pred: scores (B C H W).
        target: class ids (B H W).
        thresh: scores not above it do not count as predicted.
    """
    if topk == 1:
        scores, classes = pred.max(dim=1, keepdim=True)
    else:
        scores, classes = pred.topk(topk, dim=1)
    hit = classes == target.unsqueeze(1)
    if thresh is not None:
        hit &= scores > thresh
    return hit.any(dim=1).float().mean() * 100.0
