"""Scores of semantic segmentation, from areas of intersection, union, prediction and label."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
import torch

from mmseg.utils import UserError, did_you_mean

ALLOWED_METRICS = ('mIoU', 'mDice', 'mFscore')
Areas = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
Scores = OrderedDict[str, np.ndarray]


def areas_to_metrics(intersect: torch.Tensor, union: torch.Tensor, pred: torch.Tensor,
                     label: torch.Tensor, metrics: str | Sequence[str] = ('mIoU',),
                     nan_to_num: float | None = None, beta: float = 1) -> Scores:
    """Turn areas (pixels per class, (C) each) into scores in [0, 1].

    Args:
        intersect, union, pred, label: what :func:`total_intersect_and_union` returns.
        metrics: names out of 'mIoU', 'mDice', 'mFscore'.
        nan_to_num: a number for classes without a score; by default they stay NaN.
        beta: weight of recall against precision in the F-score.

    Returns:
        'aAcc' (a scalar), then float64 (C) arrays: 'IoU' and 'Acc' for mIoU, 'Dice' and 'Acc' for
        mDice, 'Fscore', 'Precision' and 'Recall' for mFscore.

    Raises:
        UserError: unknown metric.
    """
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    for name in names:
        if name not in ALLOWED_METRICS:
            raise UserError(f"metric '{name}' is not supported: "
                            f'{did_you_mean(name, ALLOWED_METRICS)}')
    i, u, p, t = (np.asarray(area, dtype=np.float64) for area in (intersect, union, pred, label))
    scores: Scores = OrderedDict()
    with np.errstate(divide='ignore', invalid='ignore'):
        scores['aAcc'] = np.asarray(i.sum() / t.sum())
        if 'mIoU' in names:
            scores.update(IoU=i / u, Acc=i / t)
        if 'mDice' in names:
            scores.update(Dice=2 * i / (p + t), Acc=i / t)
        if 'mFscore' in names:
            precision, recall = i / p, i / t
            scores.update(Fscore=_f_score(precision, recall, beta), Precision=precision,
                          Recall=recall)
    if nan_to_num is not None:
        scores = OrderedDict((k, np.nan_to_num(v, nan=nan_to_num)) for k, v in scores.items())
    return scores


def _f_score(precision: np.ndarray, recall: np.ndarray, beta: float) -> np.ndarray:
    """F = (1 + b^2) P R / (b^2 P + R) (van Rijsbergen 1979); NaN where P or R is undefined."""
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)


def mean_over(scores: Sequence[float], class_ids: Iterable[int] | None = None) -> float:
    """Mean score of the classes ``class_ids`` (all by default), skipping those without a score.

    NaN if none of the classes has one.
    """
    chosen = np.asarray(scores, dtype=np.float64)
    if class_ids is not None:
        chosen = chosen[list(class_ids)]
    chosen = chosen[~np.isnan(chosen)]
    return float(chosen.mean()) if chosen.size else float('nan')
