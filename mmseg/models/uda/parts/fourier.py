"""Fourier transfer: the source image with the low amplitudes of a target image (FDA: Yang and Soatto, CVPR
2020, eq. 1–4; YanchaoYang/FDA)."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg.utils import ConfigError, DataError
from mmseg.utils.ranges import check_range

from .strong_augment import normalisation

WINDOWS = ('code', 'paper')


@dataclass(frozen=True)
class FourierTransfer:
    """Fourier transfer of normalised images.

    Args:
        beta: β, 0 ≤ β < ½: how much of the spectrum is taken from the target.
        window: 'code', as the authors trained; 'paper', as they describe it and their demo does.
    """

    beta: float
    window: str = 'code'

    def __post_init__(self) -> None:
        check_range(self.beta, 'beta of the Fourier transfer', 0, 0.5)
        if self.beta == 0.5:
            raise ConfigError('beta of the Fourier transfer is 0.5, expected a number below it')
        if self.window not in WINDOWS:
            raise ConfigError(f"window of the Fourier transfer is '{self.window}', expected code or paper")

    def __call__(self, source: Tensor, target: Tensor, source_metas: Sequence[dict],
                 target_metas: Sequence[dict]) -> Tensor:
        """Source and target images (B C H W), normalised as their meta data say → the source with the
        target's low amplitudes, normalised as it was. The amplitudes are those of pixels before that; in
        which order the channels are does not matter."""
        mean, std = _of_batch(source_metas, source.device)
        target_mean, target_std = _of_batch(target_metas, target.device)
        moved = fourier_transfer(source * std + mean, target * target_std + target_mean, self.beta,
                                 self.window)
        return (moved - mean) / std


def _of_batch(metas: Sequence[dict], device: torch.device) -> tuple[Tensor, Tensor]:
    means, stds = zip(*(normalisation(meta, device) for meta in metas))
    return torch.cat(means), torch.cat(stds)


def fourier_transfer(source: Tensor, target: Tensor, beta: float, window: str = 'code') -> Tensor:
    """F⁻¹(|F(target)| inside the window and |F(source)| outside, phase of F(source)), of each channel.

    Args:
        source, target: images that are not normalised, e.g. BGR 0–255, (B C H W).
        beta: β, 0 ≤ β < ½.
        window: see ``low_frequencies``.

    Returns:
        (B C H W) float32, not clipped: values may lie below 0 and above 255.

    Raises:
        DataError: source and target differ in height or width.
    """
    size = source.shape[-2:]
    if size != target.shape[-2:]:
        sizes = ' and '.join(f'{x.shape[-1]}x{x.shape[-2]}' for x in (source, target))
        raise DataError(f'source and target have crops of {sizes} pixels, whose frequencies differ: give '
                        'their pipelines one crop_size')
    inside = low_frequencies(size[0], size[1], beta, window).to(source.device, non_blocking=True)
    of_source, of_target = (torch.fft.rfft2(x.float()) for x in (source, target))
    moved = torch.polar(of_target.abs(), of_source.angle())
    return torch.fft.irfft2(torch.where(inside, moved, of_source), s=size)


def low_frequencies(height: int, width: int, beta: float, window: str = 'code') -> Tensor:
    """Where the amplitudes are replaced, in the half of the spectrum that ``rfft2`` gives: bool
    (H, W // 2 + 1).

    With b = ⌊β·min(H, W)⌋, row frequency r and column frequency c ≥ 0:

    'paper': |r| ≤ b and c ≤ b.
    'code': c ≤ b − 1 and r ≤ b − 1; and r ≥ −(b − 1) where c = 0, r ≥ −b elsewhere. The code cuts four
    corners out of a spectrum of which only one half is kept, so the window is no square, and b = 1 changes
    the mean alone. (Issue 40 of YanchaoYang/FDA; measured under torch 1.5.1.)
    """
    half_size = int(beta * min(height, width))
    row = torch.fft.fftfreq(height, 1 / height).round().long()[:, None]
    column = torch.arange(width // 2 + 1)
    if window == 'paper':
        return (row.abs() <= half_size) & (column <= half_size)
    least = torch.where(column == 0, 1 - half_size, -half_size)
    return (column < half_size) & (row < half_size) & (row >= least)
