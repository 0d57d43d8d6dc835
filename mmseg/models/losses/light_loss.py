"""Losses of the relighting network (DANNet: Wu et al., CVPR 2021, eq. 1–4; W-zx-Y/DANNet)."""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import LOSSES

C1, C2 = 1e-4, 9e-4  # of the SSIM, for values in [0, 1]; the authors' images are normalised


def total_variation(image: Tensor) -> Tensor:
    """2/B · (Σ (∂_y x)² / ((H − 1)·W) + Σ (∂_x x)² / (H·(W − 1))) over the batch and its channels; 0-dim."""
    rows, columns = image.diff(dim=2).square(), image.diff(dim=3).square()
    per_image = rows.mean(dim=(0, 2, 3)).sum() + columns.mean(dim=(0, 2, 3)).sum()
    return 2 * per_image


def ssim_loss(a: Tensor, b: Tensor) -> Tensor:
    """(1 − SSIM)/2, 0–1, of every pixel of two images (B C H W): windows of 3 × 3, reflected borders."""
    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 3, 1)

    a, b = (F.pad(x, (1, 1, 1, 1), mode='reflect') for x in (a, b))
    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a.square(), mean(b * b) - mean_b.square()
    covariance = mean(a * b) - mean_a * mean_b
    ssim = ((2 * mean_a * mean_b + C1) * (2 * covariance + C2)
            / ((mean_a.square() + mean_b.square() + C1) * (variance_a + variance_b + C2)))
    return ((1 - ssim) / 2).clamp(0, 1)


def exposure(image: Tensor, level: Tensor | float, patch: int = 32) -> Tensor:
    """Mean squared difference of the grey means of patches of (B C H W), in pixels a side, to ``level``."""
    return (F.avg_pool2d(image.mean(dim=1, keepdim=True), patch) - level).square().mean()


@LOSSES.register_module()
class LightLoss(nn.Module):
    """L = 10·TV(R) + mean (1 − SSIM(x + R, x))/2 + exposure(x + R) of an image x and its relighting R.

    Args:
        tv_weight, ssim_weight, exposure_weight: of the three terms.
        loss_weight: which the caller applies, 1 on the source and 0.01 on the targets; ``forward`` does not.
        loss_name: name in the log.
    """

    def __init__(self, tv_weight: float = 10.0, ssim_weight: float = 1.0, exposure_weight: float = 1.0,
                 loss_weight: float = 1.0, loss_name: str = 'light'):
        super().__init__()
        for name, value in dict(tv_weight=tv_weight, ssim_weight=ssim_weight, loss_weight=loss_weight,
                                exposure_weight=exposure_weight).items():
            check_range(value, f'LightLoss: {name}', 0)
        self.tv_weight, self.ssim_weight, self.exposure_weight = tv_weight, ssim_weight, exposure_weight
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(self, residual: Tensor, image: Tensor, night_level: Tensor | float) -> Tensor:
        """Unweighted loss, 0-dim.

        Args:
            residual: R(x) (B 3 H W), −1 to 1.
            image: x, normalised; both sides at least 32 pixels.
            night_level: mean of all values of the normalised night images of the step.
        """
        relit = image + residual
        return (self.tv_weight * total_variation(residual)
                + self.ssim_weight * ssim_loss(relit, image).mean()
                + self.exposure_weight * exposure(relit, night_level))
