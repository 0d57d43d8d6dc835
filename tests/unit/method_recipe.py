"""Inputs and tolerances of the golden values of the compared methods (tests/data/golden_{advent,fda,…}.npz).

The values were measured once from the authors' public code with exactly these inputs; the recipe is part of
the measurement and must not change. ``sample(x, n)`` is how they were thinned out.
"""
from __future__ import annotations

import math

import golden
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 19


def stack(seed: int, batch: int, channels: int, height: int, width: int, scale: float = 1.0) -> Tensor:
    """Images of seed, seed + 1, … side by side: float32 (batch channels height width)."""
    h8, w8 = 8 * math.ceil(height / 8), 8 * math.ceil(width / 8)
    maps = [golden.image(seed + k, batch, h8, w8) for k in range(math.ceil(channels / 3))]
    return scale * torch.cat(maps, 1)[:, :channels, :height, :width].contiguous()


def rgb(seed: int, batch: int, height: int, width: int) -> Tensor:
    """An image that is not normalised, about 0–255."""
    return 127.5 + 50.0 * stack(seed, batch, 3, height, width)


def probabilities(seed: int, batch: int, channels: int, height: int, width: int,
                  scale: float = 2.0) -> Tensor:
    return torch.softmax(stack(seed, batch, channels, height, width, scale), 1)


def logits(seed: int, batch: int, height: int, width: int, scale: float = 2.0) -> Tensor:
    """A leaf for gradients (batch 19 height width)."""
    return stack(seed, batch, CLASSES, height, width, scale).requires_grad_()


def low(side: int) -> int:
    """A side at the resolution of the networks' output."""
    return side // 8 + 1


def up(x: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(x, (height, width), mode='bilinear', align_corners=True)


class ToyMulti(nn.Module):
    """A segmenter of 1/8 resolution with two heads, aux and main."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 3, stride=8, padding=1)
        self.layer5 = nn.Conv2d(8, CLASSES, 1)
        self.layer6 = nn.Conv2d(8, CLASSES, 1)
        golden.fill(self)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.body(x)
        return self.layer5(x), self.layer6(x)


class ToyFeat(nn.Module):
    """A segmenter of 1/8 resolution that gives its 256 features, too."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 256, 3, stride=8, padding=1)
        self.head = nn.Conv2d(256, CLASSES, 1)
        golden.fill(self)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        feat = self.body(x)
        return {'feat': feat, 'out': self.head(feat)}


def sample(tensor: Tensor | np.ndarray, stride: int) -> np.ndarray:
    value = tensor.detach().cpu().numpy() if torch.is_tensor(tensor) else np.asarray(tensor)
    return value.ravel()[::stride]


def assert_agree(value: Tensor | np.ndarray | float, expected: np.ndarray, tolerance: float = 1e-4) -> None:
    """|value − expected| ≤ tolerance·(|expected| + its largest entry); 1e-3 for gradients and whole steps."""
    value = value.detach().numpy() if torch.is_tensor(value) else np.asarray(value)
    assert value.shape == expected.shape
    largest = float(np.abs(expected).max())
    np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance * largest)
