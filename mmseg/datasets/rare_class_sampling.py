"""Rare class sampling (Hoyer et al. 2022, DAFormer, section 3.2)."""
from __future__ import annotations

import os.path as osp
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmcv.parallel import DataContainer

from mmseg.utils import UserError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys

from .preparation.class_stats import (
    FALLBACK,
    LabelIndex,
    Stats,
    read_class_stats,
    read_samples_with_class,
    refuse_other_ids,
)

RECROPS = 10
RCS_KEYS = {'min_pixels', 'class_temp', 'min_crop_ratio', 'stats_dir'}


def count_pixels(stats: Iterable[Stats]) -> dict[int, int]:
    """N_c: pixels of each class over all label maps."""
    totals: dict[int, int] = {}
    for entry in stats:
        for class_id, count in entry.items():
            if class_id != 'file':
                totals[int(class_id)] = totals.get(int(class_id), 0) + int(count)
    return totals


def class_probabilities(pixels: Mapping[int, int], temperature: float) -> tuple[list[int], np.ndarray]:
    """How likely each class is to be drawn.

    With f_c = N_c / Σ N: P(c) = softmax over c of (1 − f_c) / T (eq. 7, 8 of the paper).

    Args:
        pixels: N_c by class.
        temperature: T > 0; the smaller, the rarer the classes that are drawn; inf is uniform.

    Returns:
        The classes in ascending order of N_c, and their probabilities, float32 (len(classes),).
    """
    classes = sorted(pixels, key=lambda c: (pixels[c], c))
    counts = torch.tensor([pixels[c] for c in classes])
    frequency = counts / counts.sum()
    return classes, torch.softmax((1 - frequency) / temperature, dim=-1).numpy()


def get_rcs_class_probs(data_root: str, temperature: float,
                        command: str = FALLBACK) -> tuple[list[int], np.ndarray]:
    """:func:`class_probabilities` of the statistics in ``data_root``.

    Raises:
        UserError: no statistics there, or T ≤ 0.
    """
    if not temperature > 0:
        raise UserError(f'rare class sampling: class_temp must be > 0, got {temperature}')
    pixels = count_pixels(read_class_stats(data_root, command))
    if not pixels:
        raise UserError(f'the statistics in {data_root} hold no class at all: are all labels 255?')
    return class_probabilities(pixels, temperature)


def images_with_class(samples: Mapping[int, Sequence[tuple[str, int]]], classes: Iterable[int],
                      labels: LabelIndex, min_pixels: int, subset: bool = False,
                      command: str = FALLBACK) -> dict[int, np.ndarray]:
    """Indices of the images that hold more than ``min_pixels`` of each class, int64 (n,).

    Args:
        samples: {class: [(path, pixels), …]}.
        classes: those that are drawn.
        labels: finds an image by its label's path.
        min_pixels: threshold, in pixels of the label file.
        subset: the data set is a part of what the statistics cover; other images are passed over.
        command: writes the statistics, for the error.

    Raises:
        UserError: a file that is not in the data set; a class without any image above the
            threshold.
    """
    found = {}
    for class_id in classes:
        indices = []
        for path, count in samples.get(class_id, ()):
            if count <= min_pixels:
                continue
            found_here = labels.find(path)
            if not found_here and not subset:
                raise UserError(f'the class statistics name {path}, which is not in the data set: they are '
                                f'stale; write them again: python {command}')
            indices += found_here
        if not indices:
            raise UserError(f'no image has more than min_pixels={min_pixels} pixels of class {class_id}, so '
                            'rare class sampling cannot draw it: lower rare_class_sampling.min_pixels')
        found[class_id] = np.array(indices)
    return found


def draw_class_and_image(rng, classes: Sequence[int], probabilities: np.ndarray,
                         images: Mapping[int, np.ndarray]) -> tuple[int, int]:
    """(class, image index): the class by its probability, then one of its images uniformly.

    Args:
        rng: ``np.random`` or a RandomState.
    """
    class_id = int(rng.choice(classes, p=probabilities))
    return class_id, int(images[class_id][rng.choice(len(images[class_id]))])


class RareClassSampler:
    """Draws samples of a data set by their rare classes: a class, an image that holds it, and up to eleven
    crops until one holds more than ``min_crop_ratio · min_pixels`` of it. The image is decoded once for all
    its crops.

    Args:
        source: with labels and class statistics; left as it is.
        min_pixels: of a class, for an image to be drawn for it, in pixels of the label file.
        class_temp: T > 0 of :func:`class_probabilities`.
        min_crop_ratio: share of ``min_pixels`` that a crop has to hold; 0 takes the first crop.
        stats_dir: folder of the class statistics; None is the data root of ``source``.
        subset: ``source`` is a part of what the statistics cover, as one with a ``split`` always may be.

    Raises:
        UserError: a value out of its range; no single data set; missing or stale statistics; a class without
            any image above ``min_pixels``.
    """

    def __init__(self, source: Any, min_pixels: int, class_temp: float, min_crop_ratio: float,
                 stats_dir: str | None = None, subset: bool = False):
        check_range(min_pixels, 'rare_class_sampling.min_pixels', 0)
        check_range(min_crop_ratio, 'rare_class_sampling.min_crop_ratio', 0)
        check_range(class_temp, 'rare_class_sampling.class_temp', above=0)
        if not hasattr(source, 'prepare'):
            raise UserError('rare class sampling needs one data set as source, not a '
                            f'{type(source).__name__}')
        self.source, self.min_pixels, self.min_crop_ratio = source, min_pixels, min_crop_ratio
        folder, command = stats_dir or source.data_root or '.', source.statistics_command
        self.classes, self.probabilities = get_rcs_class_probs(folder, class_temp, command)
        refuse_other_ids(folder, source, command)
        labels = LabelIndex([osp.join(source.ann_dir, info['ann']['seg_map']) for info in source.img_infos])
        self.images = images_with_class(read_samples_with_class(folder, command), self.classes, labels,
                                        min_pixels, subset or source.split is not None, command)

    @classmethod
    def from_config(cls, source: Any, settings: Mapping[str, Any], subset: bool = False) -> RareClassSampler:
        """As a config's ``rare_class_sampling`` says.

        Raises:
            UserError: an unknown or missing key; as the constructor.
        """
        check_keys(settings, RCS_KEYS, 'rare_class_sampling')
        for key in sorted(RCS_KEYS - {'stats_dir'}):
            if key not in settings:
                raise UserError(f"key '{key}' is missing in rare_class_sampling")
        return cls(source, **settings, subset=subset)

    def draw(self) -> tuple[int, int]:
        """(class, image index) from ``np.random``."""
        return draw_class_and_image(np.random, self.classes, self.probabilities, self.images)

    def sample(self) -> dict:
        """A sample of the source, drawn from ``np.random``."""
        return self.crop(*self.draw())

    def crop(self, class_id: int, index: int) -> dict:
        """The sample of image ``index``, cropped where it holds the class."""
        prepared = self.source.prepare(index)
        drawn = self.source.draw(prepared)
        if self.min_crop_ratio > 0:
            for _ in range(RECROPS):
                if _pixels_of(class_id, drawn) > self.min_pixels * self.min_crop_ratio:
                    break
                drawn = self.source.draw(prepared)
        return self.source.complete(drawn)


def _pixels_of(class_id: int, sample: dict) -> int:
    """How many pixels of the class a sample's label map holds, formatted or not."""
    label = sample['gt_semantic_seg']
    label = label.data if isinstance(label, DataContainer) else label
    return int((label == class_id).sum())
