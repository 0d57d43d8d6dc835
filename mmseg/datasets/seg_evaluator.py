"""Scores of predictions for data sets of any make."""
from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from mmseg.core.evaluation import ConfusionMatrix
from mmseg.utils import UserError

from .result_table import summarise


class SegEvaluator:
    """Evaluation for a data set with CLASSES, ignore_index, img_dir, len(), group_of(index) and
    get_gt_seg_map(index), and has_labels."""

    def get_gt_seg_maps(self) -> Iterator[np.ndarray]:
        """All label maps in turn; one is in memory at a time."""
        return (self.get_gt_seg_map(index) for index in range(len(self)))

    def evaluate(self, results: Iterable[np.ndarray | ConfusionMatrix] | ConfusionMatrix,
                 metric: str | Sequence[str] = 'mIoU', logger=None) -> OrderedDict[str, float]:
        """Scores of predictions, printed as a table per class.

        Args:
            results: one per image, in order: a predicted label map (H W) or the image's
                ConfusionMatrix; or the ConfusionMatrix of them all.
            metric: 'mIoU', 'mDice' or 'mFscore', or several of them.
            logger: where the table goes; None uses mmcv's root logging, 'silent' nothing.

        Returns:
            aAcc, the mean of every score (mIoU, mAcc, …) and each class's ('IoU.road', …), as
            fractions 0 … 1.

        Raises:
            UserError: unknown metric, missing labels, number of results other than of images.
        """
        groups = self._count(results)
        scores = summarise(groups.pop(None), self.CLASSES, metric, logger)
        for name, counts in groups.items():
            part = summarise(counts, self.CLASSES, metric, 'silent')
            scores.update({f'{key}.{name}': value for key, value in part.items()
                           if key.startswith('m') and '.' not in key})
        return scores

    def _count(self, results: Iterable[np.ndarray | ConfusionMatrix] | ConfusionMatrix
               ) -> dict[str | None, ConfusionMatrix]:
        """Confusion matrices of everything (key None) and of each group of images."""
        if isinstance(results, ConfusionMatrix):
            return {None: results}
        groups: dict[str | None, ConfusionMatrix] = {None: self._matrix()}
        number = -1
        for number, result in enumerate(results):
            if number >= len(self):
                raise UserError(f'more results than the {len(self)} images of {self.img_dir}')
            one = self._confusion_of(number, result)
            groups[None].merge(one)
            group = self.group_of(number)
            if group is not None:
                groups.setdefault(group, self._matrix()).merge(one)
        if number + 1 != len(self):
            raise UserError(f'{number + 1} results for the {len(self)} images of {self.img_dir}')
        return groups

    def _matrix(self) -> ConfusionMatrix:
        return ConfusionMatrix(len(self.CLASSES), self.ignore_index)

    def _confusion_of(self, index: int, result: np.ndarray | ConfusionMatrix) -> ConfusionMatrix:
        if isinstance(result, ConfusionMatrix):
            return result
        return self._matrix().update(np.asarray(result), self.get_gt_seg_map(index))
