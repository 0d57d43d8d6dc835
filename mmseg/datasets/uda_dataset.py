"""Samples of several domains: a labelled source image, an unlabelled target image, and others by name."""
from __future__ import annotations

import os.path as osp
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.parallel import DataContainer
from torch.utils.data import Dataset

from mmseg.utils import ConfigError, UserError
from mmseg.utils.ranges import check_range

from .builder import DATASETS
from .pipelines.formatting import FULL
from .pseudo_labels import FIELD, VALID
from .rare_class_sampling import RareClassSampler
from .weather_cityscapes import scene_of

TARGET_KEYS = ('img_metas', 'img', FULL, FIELD)  # of a target's sample; its labels, if it has any, stay out


@DATASETS.register_module()
class UDADataset(Dataset):
    """Items are the source's (img, img_metas, gt_semantic_seg) with the target's target_img and
    target_img_metas and, if it has pseudo-labels, target_pseudo_semantic_seg; if it has margins without
    labels, valid_pseudo_mask. Each further domain NAME adds all that its data set gives: NAME_img, …

    Without rare class sampling, item i pairs source i div len(target) with target i mod len(target). With it
    (method.md) the index is not used: the sampler draws the source, and the target is any image. Images of
    further domains are drawn uniformly after those two, which so stay the same, or belong to an image of
    another domain; then they are cropped and flipped as that one is, by the same random numbers. All draws
    are from ``np.random``. The data sets are left as they are.

    Args:
        source: with labels.
        target: its labels, if it has any, are left out.
        rare_class_sampling: arguments of :class:`RareClassSampler`, dict(min_pixels=3000, class_temp=0.01,
            min_crop_ratio=0.5); None for none.
        cfg: the older place of that dict: ``dict(rare_class_sampling=...)``.
        exclude_paired_source: leave out the source images whose scene the target shows too, as all
            of Foggy Cityscapes' are. ``note`` then says how many these are.
        domains: further data sets by name, in the order in which they are drawn.
        paired: further domain → the domain with whose images its own go, the n-th with the n-th.
        sync_crop_size: (height, width); cuts one more window, at one random place for source and target alike
            (HRDA's ablations of the crop).

    Raises:
        UserError: nothing left of the source; different classes; missing or stale statistics; a class
            without any image above min_pixels.
        ConfigError: a name that is taken or no word; a pair of an unknown domain or of another length.
    """

    def __init__(self, source: Dataset, target: Dataset, rare_class_sampling: dict | None = None,
                 cfg: dict | None = None, exclude_paired_source: bool = False,
                 domains: Mapping[str, Dataset] | None = None, paired: Mapping[str, str] | None = None,
                 sync_crop_size: tuple[int, int] | None = None):
        self.ignore_index = source.ignore_index
        self.CLASSES, self.PALETTE = source.CLASSES, source.PALETTE
        self.paired = dict(paired or {})
        self.sync_crop_size = None if sync_crop_size is None else tuple(sync_crop_size)
        if self.sync_crop_size and getattr(target, 'full_images', False):
            raise ConfigError('data.train: sync_crop_size cuts crops once more, of which full_images of the '
                              'target do not know: leave one of them out')
        for side in self.sync_crop_size or ():
            check_range(side, 'data.train.sync_crop_size', 1)
        source, self.note = _unpaired(source, target, exclude_paired_source)
        self.domains = {'source': source, 'target': target, **_named(domains or {})}
        self._check_classes()
        self._check_pairs()
        settings = rare_class_sampling if cfg is None else cfg.get('rare_class_sampling')
        self.sampler = None if settings is None else RareClassSampler.from_config(
            source, settings, subset=exclude_paired_source)

    @property
    def source(self) -> Dataset:
        return self.domains['source']

    @property
    def target(self) -> Dataset:
        return self.domains['target']

    def _check_classes(self) -> None:
        for name, dataset in self.domains.items():
            if not len(dataset):
                raise UserError(f"{name}: the data set '{type(dataset).__name__}' has no image")
            if tuple(dataset.CLASSES or ()) == tuple(self.CLASSES or ()):
                continue
            for domain, one in (('source', self.source), (name, dataset)):
                if not one.CLASSES:
                    raise UserError(f"{domain}: the data set '{type(one).__name__}' names no classes: give "
                                    'it the attribute CLASSES, or classes=[…] in the config')
            raise UserError(f'source and {name} have different classes: '
                            f'{_difference(self.CLASSES, dataset.CLASSES)}')

    def _check_pairs(self) -> None:
        order = [*self.domains]
        for name, other in self.paired.items():
            earlier = order[1:order.index(name)]  # not the source, of which a sampler draws crops
            if other not in earlier:
                raise ConfigError(f"the domain '{name}' is paired with '{other}', expected one that is drawn "
                                  f'before it: {", ".join(earlier)}')
            if len(self.domains[name]) != len(self.domains[other]):
                raise ConfigError(f"the domain '{name}' has {len(self.domains[name])} images and '{other}', "
                                  f'with which they are paired, {len(self.domains[other])}')

    def __getitem__(self, index: int) -> dict:
        chosen: dict[str, int] = {}
        states: dict[str, Any] = {}
        if self.sampler is None:
            source_index, chosen['target'] = divmod(index, len(self.target))
            sample = dict(self.source[source_index])
        else:
            sample = self.sampler.sample()
            chosen['target'] = _any_of(self.target)
        for name, dataset in self.domains.items():
            if name == 'source':
                continue
            if name not in chosen:
                chosen[name] = chosen[self.paired[name]] if name in self.paired else _any_of(dataset)
            found = self._loaded(name, chosen[name], states)
            keys = [key for key in TARGET_KEYS if key in found] if name == 'target' else found
            sample.update({f'{name}_{key}': found[key] for key in keys})
            if name == 'target':
                sample.update({key: found[key] for key in (VALID,) if key in found})
                self._crop_together(sample)
        return sample

    def _crop_together(self, sample: dict) -> None:
        """Cut ``sync_crop_size`` out of all of a sample of source and target, whose crops have one size."""
        if self.sync_crop_size is None:
            return
        windows = [slice(start, start + length) for start, length in (
            (np.random.randint(max(side - length, 0) + 1), length)
            for side, length in zip(sample['img'].data.shape[-2:], self.sync_crop_size))]
        for key, value in sample.items():
            if isinstance(value, DataContainer) and not value.cpu_only:
                cut = value.data[..., windows[0], windows[1]].contiguous()
                sample[key] = DataContainer(cut, stack=value.stack)

    def _loaded(self, name: str, index: int, states: dict[str, Any]) -> dict:
        """A sample of a domain. ``states``, where the random numbers of each domain began, gets its own."""
        now = np.random.get_state()
        states[name] = states[self.paired[name]] if name in self.paired else now
        np.random.set_state(states[name])
        found = self.domains[name][index]
        if name in self.paired:
            np.random.set_state(now)
        return found

    def __len__(self) -> int:
        return len(self.source) * len(self.target)


def _any_of(dataset: Dataset) -> int:
    return int(np.random.choice(len(dataset)))


def _named(domains: Mapping[str, Dataset]) -> Mapping[str, Dataset]:
    for name in domains:
        if name in ('source', 'target') or not name.isidentifier():
            raise ConfigError(f"a further domain is called '{name}': expected a word other than source and "
                              'target, for the keys of a sample begin with it')
    return domains


def _unpaired(source: Dataset, target: Dataset, exclude: bool) -> tuple[Dataset, str | None]:
    """The source, without the scenes that the target shows if they are to be left out, and what is to be
    reported on them; None where there are none."""
    scenes = {info['scene'] for info in getattr(target, 'img_infos', ()) if 'scene' in info}
    if not scenes and exclude:
        raise UserError('exclude_paired_source: the target is not Cityscapes in rendered weather, '
                        'so none of its images has a paired source image')
    if exclude and not hasattr(source, 'with_images'):
        raise ConfigError('exclude_paired_source needs one data set as source, not a '
                          f'{type(source).__name__}')
    if not scenes or not hasattr(source, 'img_infos'):
        return source, None
    kept = [info for info in source.img_infos if scene_of(osp.basename(info['filename'])) not in scenes]
    paired = len(source.img_infos) - len(kept)
    if not exclude:
        return source, f'{paired} of {len(source.img_infos)} source images show scenes of the target: kept'
    if not kept:
        raise UserError(f'exclude_paired_source: all {paired} source images show scenes of the target, '
                        'so nothing is left to train on; give the target fewer scenes with its split, '
                        'for example the refined list of Foggy Cityscapes')
    return (source.with_images(kept),
            f'{paired} source images show scenes of the target: left out, {len(kept)} remain')


def _difference(classes: Sequence[str], others: Sequence[str]) -> str:
    """Where two lists of classes part."""
    for index, (one, other) in enumerate(zip(classes, others)):
        if one != other:
            return f"class {index} is '{one}' here and '{other}' there"
    return f'there are {len(classes)} and {len(others)}'
