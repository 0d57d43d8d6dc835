"""Between the images of a segmenter, normalised in their way, and those of a generator."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Normalisation:
    """How a segmenter's images are normalised.

    Args:
        mean, std: (1 3 1 1), of pixels in 0 … 255, in the order of the image's channels.
        rgb: whether that is RGB; otherwise BGR.
    """

    mean: Tensor
    std: Tensor
    rgb: bool

    @classmethod
    def of(cls, img_norm_cfg: Mapping[str, Any], device: torch.device) -> Normalisation:
        """The one that images' meta data name: mean, std and to_rgb."""
        both = torch.from_numpy(np.array([img_norm_cfg['mean'], img_norm_cfg['std']], dtype=np.float32))
        mean, std = both.view(2, 1, -1, 1, 1).to(device, non_blocking=True)
        return cls(mean, std, bool(img_norm_cfg.get('to_rgb', True)))

    def to_unit(self, images: Tensor) -> Tensor:
        """Normalised images (B 3 H W) → RGB in −1 … 1."""
        pixels = images * self.std + self.mean
        return (pixels if self.rgb else pixels.flip(1)) / 127.5 - 1

    def from_unit(self, images: Tensor) -> Tensor:
        """RGB images (B 3 H W) in −1 … 1 → normalised ones."""
        pixels = 127.5 * (images + 1)
        return ((pixels if self.rgb else pixels.flip(1)) - self.mean) / self.std
