"""Batches of test images: those of one size go through the network together."""
from __future__ import annotations

from collections.abc import Hashable, Iterator
from functools import partial
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from .loader import Loader, build_dataloader, unwrap_batch


class SizeGroups(list):
    """A batch of test images as [(places in the batch, collated images), …], one entry a size. (A class
    of its own, so that it is not taken for a collated batch.)"""


def size_of(sample: dict) -> Hashable:
    """What test samples must share to be in one batch: the sizes and flips of their augmentations, and
    the original size."""
    metas = [getattr(meta, 'data', meta) for meta in sample.get('img_metas', ())]
    return (tuple(tuple(img.shape) for img in sample['img']),
            tuple((meta.get('ori_shape'), meta.get('flip'), meta.get('flip_direction')) for meta in metas))


def collate_by_size(samples: list[dict], collate: Any) -> SizeGroups:
    """Collate each size of ``samples`` by itself, in the order in which the sizes come first."""
    groups: dict[Hashable, list[int]] = {}
    for place, sample in enumerate(samples):
        groups.setdefault(size_of(sample), []).append(place)
    return SizeGroups((places, collate([samples[place] for place in places])) for places in groups.values())


def sized_batches(data_loader: DataLoader, device: torch.device | str) -> Iterator[tuple[list[int], dict]]:
    """Yield (indices in the data set, batch on ``device``), each of one size; of a loader from
    :func:`build_test_loader` or from ``build_dataloader``."""
    for indices, batch in zip(data_loader.batch_sampler, data_loader):
        for places, part in batch if isinstance(batch, SizeGroups) else [(range(len(indices)), batch)]:
            yield [indices[place] for place in places], unwrap_batch(part, device)


def build_test_loader(dataset: Dataset, samples_per_gpu: int, workers_per_gpu: int,
                      dist: bool = True) -> Loader:
    """A loader over all items of a data set in test mode once, in order, that yields
    :class:`SizeGroups`; for ``mmseg.engine.evaluation.run_test``.

    Args:
        dataset: items are lists over augmentations, as ``MultiScaleFlipAug`` gives them.
        samples_per_gpu: batch size, ≥ 1; images of another size in a batch form a batch of their own.
        workers_per_gpu: worker processes; 0 loads in this process.
        dist: deal the items out over the ranks of ``torch.distributed``, if that is running.
    """
    loader = build_dataloader(dataset, samples_per_gpu, workers_per_gpu, dist=dist, shuffle=False)
    loader.collate_fn = partial(collate_by_size, collate=loader.collate_fn)
    return loader
