"""Translated images of earlier steps, which steady the discriminators (Shrivastava et al., CVPR 2017)."""
from __future__ import annotations

import random

import torch
from torch import Tensor

from mmseg.utils.ranges import check_range


class ImagePool:
    """Keeps up to ``size`` images. A full pool gives back, with probability ½, an older image in the place of
    a new one, which it keeps. Draws from Python's ``random``.

    Args:
        size: 0 gives every image back as it is.
    """

    def __init__(self, size: int = 50):
        check_range(size, 'the size of an image pool', 0)
        self.size, self.images = size, []

    def exchange(self, images: Tensor) -> Tensor:
        """(B 3 H W) → (B 3 H W), without the graph."""
        given = [self._exchange(image) for image in images.detach().split(1)]
        return torch.cat([image.to(images.device) for image in given])  # a resumed pool is on the host

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if not self.size or random.random() <= 0.5:
            return image
        place = random.randrange(self.size)
        older, self.images[place] = self.images[place], image.clone()
        return older

    def state_dict(self) -> dict[str, Tensor]:
        """What an exact resume needs: the images one behind another (N 3 H W), nothing of an empty pool."""
        return {'images': torch.cat(self.images)} if self.images else {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.images = list(state['images'].split(1)) if state else []
