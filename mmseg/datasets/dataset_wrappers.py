"""Data sets made of data sets."""
from __future__ import annotations

import bisect
import os.path as osp
from collections.abc import Iterable, Sequence

import numpy as np
from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Dataset

from mmseg.utils import UserError

from .builder import DATASETS
from .seg_evaluator import SegEvaluator


@DATASETS.register_module()
class ConcatDataset(SegEvaluator, TorchConcatDataset):
    """One data set after the other; classes and palette are the first one's.

    Evaluation is over all images together and by group: the ``DOMAIN`` of the part that an image is
    from ('foggy', 'rain'), or what the part itself groups by where it has no such name.

    Args:
        datasets: at least one.

    Raises:
        UserError: none, or parts with different classes.
    """

    def __init__(self, datasets: Sequence[Dataset]):
        if not datasets:
            raise UserError('ConcatDataset: the list of datasets is empty')
        super().__init__(datasets)
        self.CLASSES, self.PALETTE = datasets[0].CLASSES, datasets[0].PALETTE
        self.ignore_index = getattr(datasets[0], 'ignore_index', 255)
        for dataset in datasets[1:]:
            if tuple(dataset.CLASSES or ()) != tuple(self.CLASSES or ()):
                raise UserError('data sets with different classes cannot be concatenated: '
                                f'{self.CLASSES} and {dataset.CLASSES}')

    def place(self, index: int) -> tuple[Dataset, int]:
        """The part that holds item ``index``, and the item's index there."""
        number = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[number], index - (self.cumulative_sizes[number - 1] if number else 0)

    @property
    def img_infos(self) -> list[dict]:
        return [info for dataset in self.datasets for info in dataset.img_infos]

    @property
    def img_dir(self) -> str:
        """Where the images are, for messages."""
        return ' and '.join(dataset.img_dir for dataset in self.datasets)

    @property
    def has_labels(self) -> bool:
        return all(dataset.has_labels for dataset in self.datasets)

    def get_gt_seg_map(self, index: int) -> np.ndarray:
        """The label map of item ``index`` in train ids, uint8 (H W), read now."""
        dataset, inner = self.place(index)
        return dataset.get_gt_seg_map(inner)

    def group_of(self, index: int) -> str | None:
        """The group that item ``index`` also counts for."""
        dataset, inner = self.place(index)
        return getattr(dataset, 'DOMAIN', None) or dataset.group_of(inner)

    def folder_of(self, index: int) -> str:
        """Of the part of item ``index``: its DOMAIN, or its number where it has none or another part has the
        same."""
        number = bisect.bisect_right(self.cumulative_sizes, index)
        domains = [getattr(dataset, 'DOMAIN', None) for dataset in self.datasets]
        domain = domains[number]
        return domain if domain and domains.count(domain) == 1 else str(number)

    @property
    def prediction_names(self) -> list[str]:
        """The file of each item's prediction; no two items have the same."""
        names = [name for dataset in self.datasets for name in dataset.prediction_names]
        return [osp.join(self.folder_of(index), name) for index, name in enumerate(names)]

    def format_results(self, results: Iterable[np.ndarray], imgfile_prefix: str, to_label_id: bool = True,
                       indices: Iterable[int] | None = None) -> list[str]:
        """As :meth:`CustomDataset.format_results`, with a folder for each part (see :meth:`folder_of`),
        since parts may use the same file names."""
        paths = []
        for index, result in zip(range(len(self)) if indices is None else indices, results):
            dataset, inner = self.place(index)
            folder = osp.join(imgfile_prefix, self.folder_of(index))
            paths += dataset.format_results([result], folder, to_label_id, [inner])
        return paths


@DATASETS.register_module()
class RepeatDataset(Dataset):
    """``dataset`` ``times`` over."""

    def __init__(self, dataset: Dataset, times: int):
        self.dataset, self.times = dataset, times
        self.CLASSES, self.PALETTE = dataset.CLASSES, dataset.PALETTE

    def __getitem__(self, index: int) -> dict:
        return self.dataset[index % len(self.dataset)]

    def __len__(self) -> int:
        return self.times * len(self.dataset)
