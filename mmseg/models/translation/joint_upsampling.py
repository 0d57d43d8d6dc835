"""Enlarging a small result along the edges of a large image (joint bilateral up-sampling: Kopf et al.,
SIGGRAPH 2007), as MGCDA enlarges its stylised images."""
from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

NOWHERE_ALIKE = 1e-12


@dataclass(frozen=True)
class JointUpsampling:
    """Each pixel is the mean of the small result's pixels around it, weighed by place and by how far the
    small image there has the colour of the large image here.

    Args:
        radius: of the window, pixels of the small image.
        sigma_space: pixels of the small image.
        sigma_colour: of the distance of two colours, in units of the images.
    """

    radius: int = 2
    sigma_space: float = 1.0
    sigma_colour: float = 0.2

    def __call__(self, small: Tensor, small_image: Tensor, image: Tensor) -> Tensor:
        """
        Args:
            small: the result (B C h w).
            small_image: what it was made of (B 3 h w).
            image: the same at the size wanted (B 3 H W).

        Returns:
            (B C H W).
        """
        rows, columns = (self._places(large, little, small) for large, little in
                         zip(image.shape[2:], small.shape[2:]))
        total, weights = image.new_zeros(len(small), small.shape[1], *image.shape[2:]), 0
        for down, right in itertools.product(range(-self.radius, self.radius + 1), repeat=2):
            y, from_y = _neighbour(rows, down, small.shape[2])
            x, from_x = _neighbour(columns, right, small.shape[3])
            square = (small_image[:, :, y][..., x] - image).square().sum(dim=1, keepdim=True)
            place = from_y.square()[:, None] + from_x.square()
            alike = torch.exp(-square / (2 * self.sigma_colour**2))
            # where no colour is near, place alone counts
            weight = torch.exp(-place / (2 * self.sigma_space**2)) * (alike + NOWHERE_ALIKE)
            total += weight * small[:, :, y][..., x]
            weights = weights + weight
        return total / weights

    @staticmethod
    def _places(large: int, little: int, like: Tensor) -> Tensor:
        """Where the centres of the pixels of a long side lie on the short one."""
        return (torch.arange(large, device=like.device) + 0.5) * (little / large) - 0.5


def _neighbour(places: Tensor, offset: int, side: int) -> tuple[Tensor, Tensor]:
    """The pixel at ``offset`` from the nearest one of each place, within the side, and its distance."""
    pixel = (places.round().long() + offset).clamp(0, side - 1)
    return pixel, pixel - places
