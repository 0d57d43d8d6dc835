"""ACDC, the adverse conditions data set (Sakaridis et al. 2021): 19 classes."""
from __future__ import annotations

import os.path as osp

from mmseg.utils import UserError
from mmseg.utils.reading import is_folder

from .builder import DATASETS
from .cityscapes import CityscapesDataset
from .files import find_files, names_in

CONDITIONS = ('fog', 'night', 'rain', 'snow')


def official_parent(folder: str) -> str | None:
    """For 'ROOT/rgb_anon/train', if that is no folder but ROOT/rgb_anon/CONDITION/train is one:
    'ROOT/rgb_anon'. Otherwise None."""
    parent, split = osp.split(folder.rstrip('/'))
    if is_folder(folder) or not is_folder(parent):
        return None
    return parent if _condition_folders(parent, split) else None


def _condition_folders(parent: str, split: str) -> list[str]:
    return [osp.join(condition, split) for condition in names_in(parent)
            if is_folder(osp.join(parent, condition, split))]


@DATASETS.register_module()
class ACDCDataset(CityscapesDataset):
    """ACDC in the official layout rgb_anon/CONDITION/SPLIT/SEQUENCE/*, or restructured to
    rgb_anon/SPLIT/*; labels below gt/ likewise.

    ``img_dir='rgb_anon/train'`` and ``ann_dir='gt/train'`` name the split in both. Every img_info
    has the ``condition`` ('fog', 'night', 'rain', 'snow'), or None where the path does not tell it;
    evaluation gives the means per condition too.

    Args:
        references: take the split's pictures of the same places in normal conditions instead
            (rgb_anon/CONDITION/SPLIT_ref/…_rgb_ref_anon.png), which have no labels.

    Other arguments as for :class:`CustomDataset`.
    """

    CONVERTER = 'tools/convert_datasets/acdc.py'
    DOWNLOAD = 'rgb_anon_trainvaltest.zip and gt_trainval.zip of https://acdc.vision.ee.ethz.ch'

    def __init__(self, img_suffix: str = '_rgb_anon.png',
                 seg_map_suffix: str = '_gt_labelTrainIds.png', references: bool = False, **kwargs):
        if references:
            img_suffix = '_rgb_ref_anon.png'
            kwargs = {**kwargs, 'img_dir': kwargs['img_dir'].rstrip('/') + '_ref', 'ann_dir': None,
                      'use_labels': False}
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
            # a small set need not have images of every condition
            names += [f'{folder}/{name}' for name in
                      find_files(osp.join(parent, folder), self.img_suffix, None)]
        if not names:
            raise UserError(f'no image ending with {self.img_suffix} in {parent}/CONDITION/{split}')
        return [self._info(name) for name in names]

    def _info(self, name: str) -> dict:
        parts = osp.join(self.img_dir, name).split('/')
        found = [part for part in parts if part in CONDITIONS]
        return {**super()._info(name), 'condition': found[-1] if found else None}
