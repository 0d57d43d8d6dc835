"""Scores of a set of predictions against its labels: the reference implementation's evaluation functions."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import mmcv
import numpy as np
import torch

from mmseg.utils.label_files import class_ids

from .confusion_matrix import ConfusionMatrix
from .scores import Areas, Scores, areas_to_metrics


def remap_label(label: np.ndarray, label_map: Mapping[int, int] | None = None,
                reduce_zero_label: bool = False, ignore_index: int = 255) -> np.ndarray:
    """A label map with its ids replaced.

    Args:
        label: integer class ids, any shape; left as it is.
        label_map: old id -> new id, all replaced at once (1->2, 2->3 does not chain).
        reduce_zero_label: afterwards 0 becomes ``ignore_index`` and every other id one less.
    """
    out = np.array(label, dtype=np.int64)
    for old, new in (label_map or {}).items():
        out[label == old] = new
    if reduce_zero_label:
        out = np.where((out == 0) | (out == ignore_index), ignore_index, out - 1)
    return out


def intersect_and_union(pred_label: np.ndarray | torch.Tensor | str, label: np.ndarray | str,
                        num_classes: int, ignore_index: int,
                        label_map: Mapping[int, int] | None = None,
                        reduce_zero_label: bool = False) -> Areas:
    """Areas of one image.

    Args:
        pred_label: class ids (H W), or the path of a ``.npy`` file with them.
        label: class ids (H W), or the path of a label image.
        num_classes: C.
        ignore_index: label of pixels that are not counted.
        label_map, reduce_zero_label: see :func:`remap_label`; applied to ``label`` alone.

    Returns:
        intersection, union, prediction and label area in pixels, int64 (C) each.
    """
    return total_intersect_and_union([pred_label], [label], num_classes, ignore_index, label_map,
                                     reduce_zero_label)


def total_intersect_and_union(results: Iterable, gt_seg_maps: Iterable, num_classes: int,
                              ignore_index: int, label_map: Mapping[int, int] | None = None,
                              reduce_zero_label: bool = False) -> Areas:
    """Areas summed over images; ``results`` and ``gt_seg_maps`` may be generators.

    Arguments and return value as those of :func:`intersect_and_union`.

    Raises:
        ValueError: not as many predictions as labels.
        UserError: a label outside the classes, or of another size than its prediction.
    """
    matrix = ConfusionMatrix(num_classes, ignore_index)
    for pred, label in zip(results, gt_seg_maps, strict=True):
        pred = np.load(pred) if isinstance(pred, str) else pred
        if isinstance(label, str):
            content = Path(label).read_bytes()
            label = class_ids(mmcv.imfrombytes(content, flag='unchanged', backend='pillow'), content, label)
        matrix.update(pred, remap_label(label, label_map, reduce_zero_label, ignore_index))
    return matrix.areas()


def eval_metrics(results: Iterable, gt_seg_maps: Iterable, num_classes: int, ignore_index: int,
                 metrics: str | Sequence[str] = ('mIoU',), nan_to_num: float | None = None,
                 label_map: Mapping[int, int] | None = None, reduce_zero_label: bool = False,
                 beta: float = 1) -> Scores:
    """Scores of a set of predictions.

    Args:
        results: predicted class ids, (H W) each (or paths of ``.npy`` files).
        gt_seg_maps: true class ids, (H W) each (or paths of label images).
        num_classes: C.
        ignore_index: label of pixels that are not counted.
        metrics: names out of 'mIoU', 'mDice', 'mFscore'.
        nan_to_num: a number for classes without a score; by default they stay NaN.
        label_map, reduce_zero_label: see :func:`remap_label`.
        beta: weight of recall against precision in the F-score.

    Returns:
        As :func:`areas_to_metrics`: 'aAcc' and one float64 (C) array per score, in [0, 1].

    Raises:
        UserError: unknown metric, a label outside the classes or of another size.
    """
    areas = total_intersect_and_union(results, gt_seg_maps, num_classes, ignore_index, label_map,
                                      reduce_zero_label)
    return areas_to_metrics(*areas, metrics=metrics, nan_to_num=nan_to_num, beta=beta)


def mean_iou(results: Iterable, gt_seg_maps: Iterable, num_classes: int, ignore_index: int,
             nan_to_num: float | None = None, label_map: Mapping[int, int] | None = None,
             reduce_zero_label: bool = False) -> Scores:
    """'aAcc', 'IoU' and 'Acc' of a set of predictions; arguments as of :func:`eval_metrics`."""
    return eval_metrics(results, gt_seg_maps, num_classes, ignore_index, ['mIoU'], nan_to_num,
                        label_map, reduce_zero_label)


def mean_dice(results: Iterable, gt_seg_maps: Iterable, num_classes: int, ignore_index: int,
              nan_to_num: float | None = None, label_map: Mapping[int, int] | None = None,
              reduce_zero_label: bool = False) -> Scores:
    """'aAcc', 'Dice' and 'Acc' of a set of predictions; arguments as of :func:`eval_metrics`."""
    return eval_metrics(results, gt_seg_maps, num_classes, ignore_index, ['mDice'], nan_to_num,
                        label_map, reduce_zero_label)


def mean_fscore(results: Iterable, gt_seg_maps: Iterable, num_classes: int, ignore_index: int,
                nan_to_num: float | None = None, label_map: Mapping[int, int] | None = None,
                reduce_zero_label: bool = False, beta: float = 1) -> Scores:
    """'aAcc', 'Fscore', 'Precision' and 'Recall'; arguments as of :func:`eval_metrics`."""
    return eval_metrics(results, gt_seg_maps, num_classes, ignore_index, ['mFscore'], nan_to_num,
                        label_map, reduce_zero_label, beta)
