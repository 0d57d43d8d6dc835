"""The target images of a training as they are at test: whole, one after another."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from tqdm import tqdm

from mmseg.core.method import TargetImages
from mmseg.datasets import build_dataset, leaf_configs
from mmseg.datasets.loading.size_groups import build_test_loader, sized_batches
from mmseg.utils import UserError
from mmseg.utils.distributed import world

from .inference import test_pipeline
from .recorded_folder import OF_TRAINING

if TYPE_CHECKING:
    from mmseg.utils.config import Config


def target_configs(cfg: Config, flip: bool = False, others: Config | None = None) -> list[dict]:
    """The data sets of the training's target in test mode.

    Args:
        flip: each image mirrored, too.
        others: the config of another training, whose target is meant; its images are prepared as ``cfg``
            says.

    Raises:
        UserError: the config trains on nothing, or its test pipeline cannot mirror.
    """
    train = ((others or cfg).get('data') or {}).get('train')
    if not train:
        raise UserError('the config has no data.train, whose target is to be labelled')
    pipeline = [dict(transform) for transform in test_pipeline(cfg)]
    if flip:
        augmented = [transform for transform in pipeline if transform['type'] == 'MultiScaleFlipAug']
        if not augmented:
            raise UserError('--flip and --rule proda: data.test.pipeline has no MultiScaleFlipAug to change')
        augmented[0]['flip'] = True
    target = train['target'] if isinstance(train, Mapping) and 'target' in train else train
    return [{**{key: value for key, value in leaf.items() if key not in OF_TRAINING},
             'pipeline': pipeline, 'test_mode': True} for leaf in leaf_configs(target)]


def target_images(cfg: Config, device: torch.device, workers: int = 0) -> TargetImages:
    """All target images of a config, those of ``torch.distributed``'s other processes in their hands."""
    datasets = [build_dataset(leaf) for leaf in target_configs(cfg)]
    return TargetImages(sum(map(len, datasets)), _images(datasets, device, workers))


def _images(datasets: list, device: torch.device, workers: int) -> Iterator[tuple[int, Tensor]]:
    first = 0
    for dataset in datasets:
        with closing(build_test_loader(dataset, 1, workers)) as loader:
            bar = tqdm(sized_batches(loader, device), total=len(loader), desc='target images', unit='img',
                       dynamic_ncols=True, disable=world()[0] != 0)
            for [index], data in bar:
                yield first + index, data['img'][0]
        first += len(dataset)
