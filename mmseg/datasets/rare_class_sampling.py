"""Rare class sampling (Hoyer et al. 2022, DAFormer, section 3.2)."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch

from mmseg.utils import UserError

from .preparation.class_stats import FALLBACK, LabelIndex, Stats, read_class_stats


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
