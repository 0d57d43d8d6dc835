"""Which predicted pixels of a whole data set become pseudo-labels: the rules of BDL (Li et al., CVPR 2019),
FDA (Yang and Soatto, CVPR 2020) and ProDA (Zhang et al., CVPR 2021).

A confidence is kept as a level: an integer of 16 bits, round(65535·p), as a grey PNG stores it. Thresholds
are order statistics over all pixels of a class. A table of 65536 counts a class, 10 MB for 19 classes, gives
them exactly for levels, in one pass; from those of the probabilities they differ by at most 1/131070.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range

GREATEST = 65535


def to_levels(confidence: Tensor) -> np.ndarray:
    """Probabilities, any shape, 0–1 → levels, uint16, on the host."""
    return (confidence.float() * GREATEST).round().to(torch.int32).cpu().numpy().astype(np.uint16)


def average_probabilities(maps: Sequence[Tensor], weights: Sequence[float] | None = None) -> Tensor:
    """Σ w_m·p_m of the probabilities of several networks, each (B C H W).

    Args:
        weights: one a network; FDA's are 0.3333, 0.3333, 0.3334. None: all alike.

    Raises:
        ConfigError: another number of weights, a negative one, or a sum that is not 1.
    """
    if weights is None:
        return sum(maps[1:], maps[0]) / len(maps)
    check_weights(weights, len(maps))
    first, *others = (w * p for w, p in zip(weights, maps))
    return sum(others, first)


def check_weights(weights: Sequence[float], networks: int) -> None:
    """Raises:
        ConfigError: see ``average_probabilities``.
    """
    for weight in weights:
        check_range(weight, 'the weight of a network', 0, 1)
    if len(weights) != networks or abs(sum(weights) - 1) > 1e-3:
        raise ConfigError(f'{networks} networks have the weights {list(weights)}, expected one each, with '
                          'the sum 1')


class ConfidenceCounts:
    """How often each class was predicted with each confidence.

    Args:
        num_classes: C.
    """

    def __init__(self, num_classes: int):
        self.counts = np.zeros((num_classes, GREATEST + 1), np.int64)

    def add(self, label: np.ndarray, levels: np.ndarray) -> None:
        """Count the pixels of an image: classes 0 … C − 1 and their levels, both of one shape."""
        flat = label.astype(np.int64).ravel() * (GREATEST + 1) + levels.ravel()
        self.counts += np.bincount(flat, minlength=self.counts.size).reshape(self.counts.shape)

    @property
    def pixels(self) -> np.ndarray:
        """n: the pixels of each class, int64 (C,)."""
        return self.counts.sum(axis=1)

    def ranked(self, share: float) -> np.ndarray:
        """x[round(share·n)] of the n levels x of each class in ascending order: int64 (C,), 0 for classes
        without pixels. Half goes to the even rank. A rank behind the last is the last one (FDA's share of
        one pixel, where the authors' code fails)."""
        pixels = self.pixels
        rank = np.minimum([round(share * int(n)) for n in pixels], pixels - 1)
        return (self.counts.cumsum(axis=1) > rank[:, None]).argmax(axis=1)


@dataclass(frozen=True)
class QuantileRule:
    """A pixel is ignored if its confidence is below x[round(share·n)] of its class, or below ``most`` if
    that is less."""

    share: float
    most: float = 0.9

    def __post_init__(self) -> None:
        check_range(self.share, 'share', 0, 1)
        check_range(self.most, 'most', 0, 1)

    def least_levels(self, counts: ConfidenceCounts) -> np.ndarray:
        """The least level that is kept, for each class: int64 (C,)."""
        return np.minimum(counts.ranked(self.share), np.ceil(self.most * GREATEST).astype(np.int64))

    def thresholds(self, counts: ConfidenceCounts) -> np.ndarray:
        """float64 (C,), 0–1."""
        return np.minimum(counts.ranked(self.share) / GREATEST, self.most)


@dataclass(frozen=True)
class FixedRule:
    """A pixel is ignored if its confidence is below ``threshold``.

    Args:
        half: confidences and threshold are compared in float16, and a confidence that equals the threshold
            is ignored too: ProDA's way, with which 0.95 stands for 0.9504.
    """

    threshold: float
    half: bool = False

    def __post_init__(self) -> None:
        check_range(self.threshold, 'threshold', 0, 1)

    def least_levels(self, counts: ConfidenceCounts) -> np.ndarray:
        """The least level that is kept, for each class: int64 (C,)."""
        confidence = np.arange(GREATEST + 1) / GREATEST
        if self.half:
            kept = confidence.astype(np.float16) > np.float16(self.threshold)
        else:
            kept = confidence >= self.threshold
        return np.full(len(counts.counts), np.count_nonzero(~kept))

    def thresholds(self, counts: ConfidenceCounts) -> np.ndarray:
        """float64 (C,), 0–1."""
        return np.full(len(counts.counts), self.threshold)


RULES = ('bdl', 'fda', 'mgcda', 'proda', 'threshold')


def build_rule(name: str, threshold: float | None = None) -> QuantileRule | FixedRule:
    """The rule of a method.

    Args:
        name: one of ``RULES``. 'mgcda' keeps every pixel.
        threshold: of 'threshold', where it is needed; of 'proda' in the place of 0.95, of 'mgcda' of 0.

    Raises:
        ConfigError: another name, or a threshold where there is none or none where there must be one.
    """
    if name in ('bdl', 'fda'):
        if threshold is not None:
            raise ConfigError(f"the rule '{name}' finds its thresholds itself: leave the threshold out")
        return QuantileRule(0.5 if name == 'bdl' else 0.66)
    if name == 'mgcda':
        return FixedRule(threshold or 0.0)
    if name == 'proda':
        return FixedRule(0.95 if threshold is None else threshold, half=True)
    if name != 'threshold':
        raise ConfigError(f"unknown rule '{name}', expected {', '.join(RULES)}")
    if threshold is None:
        raise ConfigError("the rule 'threshold' needs a threshold, 0 to 1")
    return FixedRule(threshold)


def chosen(label: np.ndarray, levels: np.ndarray, least: np.ndarray, ignore_index: int = 255) -> np.ndarray:
    """The pseudo-labels of an image.

    Args:
        label: classes 0 … C − 1, or ``ignore_index``, which stays: uint8 (H W).
        levels: their confidence, uint16 (H W).
        least: the least level that is kept, for each class (C,).

    Returns:
        uint8 (H W), ``ignore_index`` where a pixel is ignored.
    """
    table = np.zeros(256, np.int64)
    table[:len(least)] = least
    return np.where(levels < table[label], ignore_index, label).astype(np.uint8)
