"""Pairs of a labelled source image and an unlabelled target image."""
from __future__ import annotations

import os.path as osp

import numpy as np
from mmcv.parallel import DataContainer
from torch.utils.data import Dataset

from mmseg.utils import UserError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys

from .builder import DATASETS
from .preparation.class_stats import LabelIndex, read_samples_with_class, refuse_other_ids
from .pseudo_labels import FIELD
from .rare_class_sampling import draw_class_and_image, get_rcs_class_probs, images_with_class
from .weather_cityscapes import scene_of

RECROPS = 10
RCS_KEYS = {'min_pixels', 'class_temp', 'min_crop_ratio', 'stats_dir'}


@DATASETS.register_module()
class UDADataset(Dataset):
    """Items are the source's (img, img_metas, gt_semantic_seg) with the target's target_img and
    target_img_metas and, if it has pseudo-labels, target_pseudo_semantic_seg.

    Without rare class sampling, item i pairs source i div len(target) with target i mod
    len(target). With it (method.md; the index is not used): a class, an image that holds it, up to
    eleven crops until one holds more than min_crop_ratio · min_pixels of it, and any target image,
    all drawn from ``np.random``. The source image is decoded once for all its crops.

    Args:
        source: with labels.
        target: its labels, if it has any, are left out.
        rare_class_sampling: dict(min_pixels=3000, class_temp=0.01, min_crop_ratio=0.5), and
            optionally stats_dir, the folder of the class statistics (default: the source's data
            root); None for none.
        cfg: the older place of that dict: ``dict(rare_class_sampling=...)``.
        exclude_paired_source: leave out the source images whose scene the target shows too, as all
            of Foggy Cityscapes' are. ``note`` then says how many these are.

    Raises:
        UserError: nothing left of the source; different classes; missing or stale statistics; a class
            without any image above min_pixels.
    """

    def __init__(self, source: Dataset, target: Dataset, rare_class_sampling: dict | None = None,
                 cfg: dict | None = None, exclude_paired_source: bool = False):
        self.source, self.target = source, target
        self.ignore_index = source.ignore_index
        self.CLASSES, self.PALETTE = source.CLASSES, source.PALETTE
        if tuple(source.CLASSES or ()) != tuple(target.CLASSES or ()):
            raise UserError(f'source and target have different classes: {source.CLASSES} and '
                            f'{target.CLASSES}')
        self.note = self._pairing_note(exclude_paired_source)
        self.excludes = exclude_paired_source
        rcs = rare_class_sampling if cfg is None else cfg.get('rare_class_sampling')
        self.rcs_enabled = rcs is not None
        if self.rcs_enabled:
            self._set_up_sampling(dict(rcs))

    def _pairing_note(self, exclude: bool) -> str | None:
        """What is to be reported on scenes that source and target share, after leaving them out if
        that is asked for; None where there are none."""
        scenes = {info['scene'] for info in getattr(self.target, 'img_infos', ()) if 'scene' in info}
        if not scenes:
            if exclude:
                raise UserError('exclude_paired_source: the target is not Cityscapes in rendered weather, '
                                'so none of its images has a paired source image')
            return None
        kept = [info for info in self.source.img_infos
                if scene_of(osp.basename(info['filename'])) not in scenes]
        paired = len(self.source.img_infos) - len(kept)
        if not exclude:
            return f'{paired} of {len(self.source.img_infos)} source images show scenes of the target: kept'
        if not kept:
            raise UserError(f'exclude_paired_source: all {paired} source images show scenes of the target, '
                            'so nothing is left to train on; give the target fewer scenes with its split, '
                            'for example the refined list of Foggy Cityscapes')
        self.source.img_infos = kept
        return f'{paired} source images show scenes of the target: left out, {len(kept)} remain'

    def _set_up_sampling(self, rcs: dict) -> None:
        check_keys(rcs, RCS_KEYS, 'rare_class_sampling')
        for key in sorted(RCS_KEYS - {'stats_dir'}):
            if key not in rcs:
                raise UserError(f"key '{key}' is missing in rare_class_sampling")
        check_range(rcs['min_pixels'], 'rare_class_sampling.min_pixels', 0)
        check_range(rcs['min_crop_ratio'], 'rare_class_sampling.min_crop_ratio', 0)
        check_range(rcs['class_temp'], 'rare_class_sampling.class_temp', above=0)
        source = self.source
        if not hasattr(source, 'prepare'):
            raise UserError(f'rare class sampling needs one data set as source, not a '
                            f'{type(source).__name__}')
        self.rcs_min_pixels, self.rcs_min_crop_ratio = rcs['min_pixels'], rcs['min_crop_ratio']
        folder = rcs.get('stats_dir') or source.data_root or '.'
        command = source.statistics_command
        self.rcs_classes, self.rcs_classprob = get_rcs_class_probs(folder, rcs['class_temp'], command)
        refuse_other_ids(folder, source, command)
        labels = LabelIndex([osp.join(source.ann_dir, info['ann']['seg_map'])
                             for info in source.img_infos])
        samples = read_samples_with_class(folder, command)
        self.samples_with_class = images_with_class(samples, self.rcs_classes, labels,
                                                    self.rcs_min_pixels,
                                                    source.split is not None or self.excludes, command)

    def get_rare_class_sample(self) -> dict:
        """A pair drawn by rare class sampling."""
        class_id, index = draw_class_and_image(np.random, self.rcs_classes, self.rcs_classprob,
                                               self.samples_with_class)
        sample = self._crop_with_class(index, class_id)
        return self._pair(sample, self.target[int(np.random.choice(len(self.target)))])

    def _crop_with_class(self, index: int, class_id: int) -> dict:
        prepared = self.source.prepare(index)
        drawn = self.source.draw(prepared)
        if self.rcs_min_crop_ratio > 0:
            for _ in range(RECROPS):
                if _pixels_of(class_id, drawn) > self.rcs_min_pixels * self.rcs_min_crop_ratio:
                    break
                drawn = self.source.draw(prepared)
        return self.source.complete(drawn)

    @staticmethod
    def _pair(source: dict, target: dict) -> dict:
        given = {f'target_{key}': target[key] for key in ('img_metas', 'img', FIELD) if key in target}
        return {**source, **given}

    def __getitem__(self, index: int) -> dict:
        if self.rcs_enabled:
            return self.get_rare_class_sample()
        source_index, target_index = divmod(index, len(self.target))
        return self._pair(self.source[source_index], self.target[target_index])

    def __len__(self) -> int:
        return len(self.source) * len(self.target)


def _pixels_of(class_id: int, sample: dict) -> int:
    """How many pixels of the class a sample's label map holds, formatted or not."""
    label = sample['gt_semantic_seg']
    label = label.data if isinstance(label, DataContainer) else label
    return int((label == class_id).sum())
