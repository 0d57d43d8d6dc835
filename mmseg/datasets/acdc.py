"""ACDC, the adverse conditions data set (Sakaridis et al. 2021): 19 classes."""
from __future__ import annotations

import os
import os.path as osp

from .builder import DATASETS
from .cityscapes import CityscapesDataset
from .files import find_files, require_dir

CONDITIONS = ('fog', 'night', 'rain', 'snow')


def official_parent(folder: str) -> str | None:
    """For 'ROOT/rgb_anon/train', if that is no folder but ROOT/rgb_anon/CONDITION/train is one:
    'ROOT/rgb_anon'. Otherwise None."""
    parent, split = osp.split(folder.rstrip('/'))
    if osp.isdir(folder) or not osp.isdir(parent):
        return None
    return parent if _condition_folders(parent, split) else None


def _condition_folders(parent: str, split: str) -> list[str]:
    return [osp.join(condition, split) for condition in sorted(os.listdir(parent))
            if osp.isdir(osp.join(parent, condition, split))]


@DATASETS.register_module()
class ACDCDataset(CityscapesDataset):
    """ACDC in the official layout rgb_anon/CONDITION/SPLIT/SEQUENCE/*, or restructured to
    rgb_anon/SPLIT/*; labels below gt/ likewise.

    ``img_dir='rgb_anon/train'`` and ``ann_dir='gt/train'`` name the split in both. Every img_info
    has the ``condition`` ('fog', 'night', 'rain', 'snow'), or None where the path does not tell it;
    evaluation gives the means per condition too.
    Arguments as for :class:`CustomDataset`.
    """

    def __init__(self, img_suffix: str = '_rgb_anon.png',
                 seg_map_suffix: str = '_gt_labelTrainIds.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def load_annotations(self) -> list[dict]:
        parent = official_parent(self.img_dir)
        if parent is None:
            return super().load_annotations()
        split = osp.basename(self.img_dir.rstrip('/'))
        self.img_dir = parent
        if self.ann_dir is not None:
            self.ann_dir = official_parent(self.ann_dir) or self.ann_dir
        if self.split is not None:
            return super().load_annotations()
        names = []
        for folder in _condition_folders(parent, split):
            require_dir(osp.join(parent, folder), 'image folder')
            names += [f'{folder}/{name}' for name in
                      find_files(osp.join(parent, folder), self.img_suffix, 'image')]
        return [self._info(name) for name in names]

    def _info(self, name: str) -> dict:
        parts = osp.join(self.img_dir, name).split('/')
        found = [part for part in parts if part in CONDITIONS]
        return {**super()._info(name), 'condition': found[-1] if found else None}
