"""A running confusion matrix: C x C counts are all that evaluation keeps of the predictions."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
import torch

from mmseg.utils import UserError

from .scores import areas_to_metrics

LabelMap = np.ndarray | torch.Tensor


class ConfusionMatrix:
    """Counts of (label, prediction) pairs over all images seen so far.

    The counting runs on the device of the prediction; a prediction on a GPU never leaves it.

    Args:
        num_classes: C.
        ignore_index: pixels with this label are not counted.
        device: where the counts live; by default the device of the first prediction.

    A prediction outside 0 ... C-1 is wrong for every class: it lowers recall but belongs to no
    class's precision.
    """

    def __init__(self, num_classes: int, ignore_index: int = 255,
                 device: str | torch.device | None = None):
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.counts: torch.Tensor | None = None
        if device is not None:
            self.counts = self._zeros(device)

    @classmethod
    def from_counts(cls, counts: np.ndarray | torch.Tensor, ignore_index: int = 255) -> ConfusionMatrix:
        """The matrix with these counts, integer (C C), rows labels, columns predictions.

        Raises:
            ValueError: they are not square.
        """
        counts = _as_tensor(counts)
        if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
            raise ValueError(f'confusion counts have the shape (C, C), got {tuple(counts.shape)}')
        matrix = cls(len(counts), ignore_index)
        matrix.counts = torch.nn.functional.pad(counts, (0, 1))
        return matrix

    def _zeros(self, device: str | torch.device) -> torch.Tensor:
        # the last column holds predictions that are no class
        return torch.zeros(self.num_classes, self.num_classes + 1, dtype=torch.int64, device=device)

    def update(self, pred: LabelMap, label: LabelMap) -> ConfusionMatrix:
        """Add one image, or one batch.

        Args:
            pred: predicted class ids, integer, any shape, numpy or torch on any device.
            label: true class ids of the same shape (a leading dimension of 1 may differ); it is
                brought to the device of ``pred``.

        Raises:
            UserError: the shapes differ, or a label is neither a class nor ``ignore_index``.
        """
        pred = _as_tensor(pred)
        label = _as_tensor(label).to(pred.device, non_blocking=True)
        if _inner_shape(pred) != _inner_shape(label):
            raise UserError(f'the prediction has the shape {tuple(pred.shape)} but the label '
                            f'{tuple(label.shape)}: image and label files must have the same size')
        counts = self._count(pred.reshape(-1), label.reshape(-1))
        self.counts = counts if self.counts is None else self.counts + counts.to(self.counts.device)
        return self

    def _count(self, pred: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        c = self.num_classes
        kept = label != self.ignore_index
        pred, label = pred[kept], label[kept]
        row = torch.where((label < 0) | (label >= c), c, label)
        column = torch.where((pred < 0) | (pred >= c), c, pred)
        counts = torch.bincount(row * (c + 1) + column, minlength=(c + 1) ** 2).view(c + 1, c + 1)
        if counts[c].any():
            strange = torch.unique(label[row == c]).tolist()
            raise UserError(
                f'label value {strange[0]} is outside the classes 0 ... {c - 1} and is not '
                f'ignore_index={self.ignore_index} (unknown values: {strange[:8]}): convert the '
                'labels to train ids, or set ignore_index')
        return counts[:c]

    def merge(self, other: ConfusionMatrix) -> ConfusionMatrix:
        """Add the counts of ``other`` to these.

        Raises:
            ValueError: the matrices have a different number of classes.
        """
        if other.num_classes != self.num_classes:
            raise ValueError(f'cannot merge {other.num_classes} classes into {self.num_classes}')
        if other.counts is not None:
            self.counts = (other.counts if self.counts is None
                           else self.counts + other.counts.to(self.counts.device))
        return self

    __iadd__ = merge

    def all_reduce(self, device: str | torch.device = 'cpu') -> ConfusionMatrix:
        """Sum over all processes of torch.distributed, so that each holds the whole set's counts.

        Args:
            device: used by a process that has seen no image; the backend must support it.
        """
        self.counts = self._zeros(device) if self.counts is None else self.counts.clone()
        torch.distributed.all_reduce(self.counts)
        return self

    @property
    def matrix(self) -> torch.Tensor:
        """int64 (C, C) on the CPU, rows labels, columns predictions."""
        return self._host()[:, :self.num_classes]

    def _host(self) -> torch.Tensor:
        return (self._zeros('cpu') if self.counts is None else self.counts).cpu()

    def areas(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Pixels per class of intersection, union, prediction and label; int64 (C) each."""
        counts = self._host()
        intersect = counts.diagonal()
        pred, label = counts[:, :self.num_classes].sum(0), counts.sum(1)
        return intersect, pred + label - intersect, pred, label

    def metrics(self, metrics: str | Sequence[str] = ('mIoU',), nan_to_num: float | None = None,
                beta: float = 1) -> OrderedDict[str, np.ndarray]:
        """The metrics of everything counted; see :func:`mmseg.core.evaluation.eval_metrics`."""
        return areas_to_metrics(*self.areas(), metrics=metrics, nan_to_num=nan_to_num, beta=beta)


def _as_tensor(labels: LabelMap) -> torch.Tensor:
    if isinstance(labels, torch.Tensor):
        return labels.long()
    return torch.from_numpy(np.asarray(labels).astype(np.int64))


def _inner_shape(labels: torch.Tensor) -> tuple[int, ...]:
    shape = tuple(labels.shape)
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    return shape
