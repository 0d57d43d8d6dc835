"""Weights of rare classes (DANNet: Wu et al., CVPR 2021, eq. 10; W-zx-Y/DANNet)."""
from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmseg.utils import ConfigError

# Share of each class among the labelled pixels of Cityscapes' training images.
CITYSCAPES_FREQUENCY = (0.36869696, 0.06084986, 0.22824049, 0.00655399, 0.00877272, 0.01227341, 0.00207795,
                        0.0055127, 0.15928651, 0.01157818, 0.04018982, 0.01218957, 0.00135122, 0.06994545,
                        0.00267456, 0.00235192, 0.00232904, 0.00098658, 0.00413907)
TRAIN_STD, TEST_STD = 0.05, 0.16


def class_weights(frequency: Sequence[float] = CITYSCAPES_FREQUENCY, std: float = TRAIN_STD) -> Tensor:
    """w_c = (mean ln f − ln f_c) / std(ln f)·k + 1, (C) float32: rarer classes weigh more, their mean is 1.

    In training the weights multiply losses and the probabilities of pseudo-labels; at test the authors
    multiply the *logits* by them, before up-sampling, which their paper calls probabilities.

    Args:
        frequency: f, the share of each class, above 0.
        std: k, the standard deviation of the weights.

    Raises:
        ConfigError: fewer than two classes, or a share that is not above 0.
    """
    if len(frequency) < 2 or min(frequency) <= 0:
        raise ConfigError(f'class weights of frequencies {list(frequency)}, expected at least two above 0')
    log = torch.tensor(list(frequency), dtype=torch.float32).log()
    return (log.mean() - log) / log.std() * std + 1


def reweight(scores: Tensor, weight: Tensor) -> Tensor:
    """Scores (B C h w) times the weights (C) of the classes."""
    return scores * weight.to(scores, non_blocking=True).view(1, -1, 1, 1)


def pixel_weights(label: Tensor, weight: Tensor, ignore_index: int = 255) -> Tensor:
    """The weight of each pixel's class over its mean among the valid pixels, 0 where there is no label.
    With them a mean over valid pixels is divided by the sum of weights, as PyTorch's with class weights.

    Args:
        label: class ids (B 1 H W), int64.
        weight: w_c (C).

    Returns:
        (B H W) float32.
    """
    valid = (label != ignore_index).squeeze(1)
    weights = weight.to(label.device, non_blocking=True)[label.squeeze(1) * valid] * valid
    return weights * (valid.sum() / weights.sum().clamp(min=1e-6))
