"""Cross-bilateral filter on a grid (Paris and Durand, ECCV 2006), which lets the prediction of one image
follow the edges of another (MGCDA: Sakaridis et al., TPAMI 2020, section 3.3; sakaridis/MGCDA)."""
from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmseg.utils import DataError

CLASSES_AT_ONCE = 4  # the grid of a colourful image of 1920 × 1080 has some ten million cells a class


@dataclass(frozen=True)
class BilateralFilter:
    """Gaussians over place and colour, cut off at one standard deviation.

    Args:
        sigma_space: in pixels.
        sampling_space: pixels a cell.
        sigma_colour: in units of the reference.
        sampling_colour: units a cell.
    """

    sigma_space: float = 80.0
    sampling_space: float = 20.0
    sigma_colour: float = 0.1
    sampling_colour: float = 0.1

    def __call__(self, prob: Tensor, reference: Tensor) -> Tensor:
        """Filter probabilities along the edges of a reference.

        Args:
            prob: (B C H W).
            reference: (B K H W), such as ``lab_reference`` of the dark image; memory grows as the product of
                the ranges of its K channels.

        Returns:
            (B C H W) float32, sums to 1 over the classes.

        Raises:
            DataError: the two differ in size.
        """
        if prob.shape[-2:] != reference.shape[-2:]:
            raise DataError(f'predictions of {tuple(prob.shape[-2:])} pixels and a reference of '
                            f'{tuple(reference.shape[-2:])}, expected one size')
        return torch.cat([self._filter(p, r) for p, r in zip(prob.float(), reference.float())])

    def _filter(self, prob: Tensor, reference: Tensor) -> Tensor:
        place = self._coordinates(reference)
        scales = [self.sigma_space / self.sampling_space] * 2
        scales += [self.sigma_colour / self.sampling_colour] * len(reference)
        ones = prob.new_ones(1, prob[0].numel())
        filtered = []
        for some in prob.flatten(1).split(CLASSES_AT_ONCE):
            grid = blur(splat(torch.cat([some, ones]), place), scales)
            values = interpolate(grid, place)
            filtered.append(values[:-1] / values[-1:])
        filtered = torch.cat(filtered)
        return (filtered / filtered.sum(dim=0, keepdim=True)).view(1, *prob.shape)

    def _coordinates(self, reference: Tensor) -> Tensor:
        """Place of each pixel in the grid, (2 + K, H·W): row, column, colours above their minimum."""
        height, width = reference.shape[1:]
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        pixels = torch.stack([rows, columns]).flatten(1).to(reference) / self.sampling_space
        colours = reference.flatten(1)
        colours = (colours - colours.amin(dim=1, keepdim=True)) / self.sampling_colour
        return torch.cat([pixels, colours])


def lab_reference(image: Tensor) -> Tensor:
    """CIELAB / 100 of RGB images (B 3 H W) in [0, 1]: L 0–1, a and b about −1 to 1."""
    from kornia.color import rgb_to_lab

    return rgb_to_lab(image.float()) / 100


def splat(values: Tensor, place: Tensor) -> Tensor:
    """Add values (V, N) to the nearest cells of a new grid at ``place`` (D, N) ≥ 0: (V, n_1, …, n_D). A place
    half-way goes to the upper cell."""
    sides = (place.amax(dim=1).ceil() + 1).long().tolist()
    cells = _flat_index((place + 0.5).floor().long(), sides)
    grid = values.new_zeros(len(values), math.prod(sides))
    return grid.index_add_(1, cells, values).view(len(values), *sides)


def _flat_index(cells: Tensor, sides: Sequence[int]) -> Tensor:
    index = torch.zeros_like(cells[0])
    for cell, side in zip(cells, sides):
        index = index * side + cell.clamp(max=side - 1)
    return index


def blur(grid: Tensor, sigmas: Sequence[float]) -> Tensor:
    """Convolve each dimension of a grid (V, n_1, …, n_D) with its Gaussian, σ in cells, of radius ⌈σ⌉."""
    for dim, sigma in enumerate(sigmas, start=1):
        blurred = grid.clone()
        for offset in range(1, min(math.ceil(sigma), grid.shape[dim] - 1) + 1):
            weight, length = math.exp(-0.5 * (offset / sigma) ** 2), grid.shape[dim] - offset
            blurred.narrow(dim, 0, length).add_(grid.narrow(dim, offset, length), alpha=weight)
            blurred.narrow(dim, offset, length).add_(grid.narrow(dim, 0, length), alpha=weight)
        grid = blurred
    return grid


def interpolate(grid: Tensor, place: Tensor) -> Tensor:
    """Multilinear interpolation of a grid (V, n_1, …, n_D) at ``place`` (D, N): (V, N)."""
    sides, flat = grid.shape[1:], grid.reshape(len(grid), -1)
    lower = place.floor()
    share = place - lower
    result = grid.new_zeros(len(grid), place.shape[1])
    for corner in itertools.product((0, 1), repeat=len(place)):
        upper = torch.tensor(corner).to(place.device, non_blocking=True).unsqueeze(1)
        weight = torch.where(upper == 1, share, 1 - share).prod(dim=0)
        result += weight * flat[:, _flat_index(lower.long() + upper, sides)]
    return result
