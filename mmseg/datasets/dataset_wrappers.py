"""Data sets made of data sets."""
from __future__ import annotations

from collections.abc import Sequence

from torch.utils.data import ConcatDataset as TorchConcatDataset
from torch.utils.data import Dataset

from mmseg.utils import UserError

from .builder import DATASETS


@DATASETS.register_module()
class ConcatDataset(TorchConcatDataset):
    """One data set after the other; classes and palette are the first one's.

    Raises:
        UserError: the parts have different classes.
    """

    def __init__(self, datasets: Sequence[Dataset]):
        super().__init__(datasets)
        self.CLASSES, self.PALETTE = datasets[0].CLASSES, datasets[0].PALETTE
        self.ignore_index = getattr(datasets[0], 'ignore_index', 255)
        for dataset in datasets[1:]:
            if tuple(dataset.CLASSES or ()) != tuple(self.CLASSES or ()):
                raise UserError('data sets with different classes cannot be concatenated: '
                                f'{self.CLASSES} and {dataset.CLASSES}')

    @property
    def img_infos(self) -> list[dict]:
        return [info for dataset in self.datasets for info in dataset.img_infos]


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
