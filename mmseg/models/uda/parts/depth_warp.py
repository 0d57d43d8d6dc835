"""The prediction for a daytime picture as the camera of the dark one would see it (MGCDA: Sakaridis et al.,
TPAMI 2020, section 3.3; sakaridis/MGCDA)."""
from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mmseg.utils import DataError

from .camera_motion import Motion

NEAREST = 0.1  # metres: what lies closer to the image plane is left out
STRETCHED = 5.0  # a triangle whose sides differ more spans a step in depth
ROUNDING = 1e-9  # a pixel on the edge between two triangles is in one of them at least
TRIANGLES_AT_ONCE = 1 << 20


def warp_by_depth(prob: Tensor, depth: Tensor, motion: Motion, calibrations: tuple) -> Tensor:
    """Warp probabilities of the day to the dark view, with the depth of the day and the motion to the dark.

    The pixels of the day are the corners of a mesh, which is rendered; the nearest surface wins. Where the
    mesh is torn between near and far, the far corner counts. Pixels outside the mesh keep the day's own
    prediction of that pixel, as the authors' do.

    Args:
        prob: (1 C H W).
        depth: (H W), metres, above 0; the sky far away (540 in the authors' code).
        calibrations: K of the day and of the dark view, numpy or tensor (3, 3).

    Returns:
        (1 C H W). Both views are of one size.

    Raises:
        DataError: depth of another size.
    """
    if depth.shape != prob.shape[-2:]:
        raise DataError(f'depth of {tuple(depth.shape)} pixels and predictions of {tuple(prob.shape[-2:])}, '
                        'expected one size')
    height, width = depth.shape
    corners, distance = project(depth, motion, calibrations)
    canvas = Canvas.empty(height, width, depth)
    triangles = mesh(height, width).to(depth.device)
    for some in triangles.split(TRIANGLES_AT_ONCE):
        _render(canvas, some, corners, distance)
    scale = canvas.place.new_tensor([max(width - 1, 1), max(height - 1, 1)]).view(2, 1, 1)
    grid = 2 * canvas.place.view(2, height, width) / scale - 1
    warped = F.grid_sample(prob, grid.permute(1, 2, 0)[None].to(prob.dtype), align_corners=True)
    return torch.where(canvas.depth.isfinite().view(1, 1, height, width), warped, prob)


def pixel_grid(height: int, width: int, like: Tensor) -> Tensor:
    """x and y of every pixel, (2, H·W)."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    return torch.stack([x, y]).flatten(1).to(like)


def project(depth: Tensor, motion: Motion, calibrations: tuple) -> tuple[Tensor, Tensor]:
    """Where each pixel of the first view lies in the second, (2, H·W) in pixels, and how far from its image
    plane, (H·W) in metres."""
    to_first, to_second, rotation, translation = (
        torch.as_tensor(x, dtype=torch.float64).to(depth.device)
        for x in (*calibrations, motion.rotation, motion.translation))
    pixels = pixel_grid(*depth.shape, like=to_first)
    rays = torch.linalg.inv(to_first) @ torch.cat([pixels, torch.ones_like(pixels[:1])])
    seen = to_second @ (rotation @ (rays * depth.flatten()) + translation.view(3, 1))
    return seen[:2] / seen[2].clamp(min=NEAREST), seen[2]


def mesh(height: int, width: int) -> Tensor:
    """Two triangles between four neighbouring pixels each, (T, 3) int64."""
    index = torch.arange(height * width).view(height, width)
    a, b, c, d = (x.flatten() for x in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]))
    return torch.cat([torch.stack([a, b, c], 1), torch.stack([d, c, b], 1)])


@dataclass(frozen=True)
class Canvas:
    """What has been rendered.

    Args:
        place: x and y in the first view of what a pixel shows (2, H·W).
        depth: its distance (H·W), infinite where nothing is.
        size: height and width.
    """

    place: Tensor
    depth: Tensor
    size: tuple[int, int]

    @classmethod
    def empty(cls, height: int, width: int, like: Tensor) -> Canvas:
        place = torch.zeros(2, height * width, dtype=torch.float64, device=like.device)
        return cls(place, torch.full_like(place[0], torch.inf), (height, width))


def _render(canvas: Canvas, triangles: Tensor, corners: Tensor, distance: Tensor) -> None:
    triangles = triangles[(distance[triangles] > NEAREST).all(dim=1)]
    which, pixel = _candidates(corners[:, triangles], canvas.size)
    share = _barycentric(corners[:, triangles[which]], _xy(pixel, canvas.size[1]))
    inside = (share >= -ROUNDING).all(dim=1)
    chosen, pixel, share = triangles[which][inside], pixel[inside], share[inside]
    far = _far_corner(corners[:, chosen], distance[chosen])
    share = torch.where(far.any(dim=1, keepdim=True), far.to(share), share)
    depth = (share * distance[chosen]).sum(dim=1)
    canvas.depth.scatter_reduce_(0, pixel, depth, 'amin')
    nearest = depth == canvas.depth[pixel]
    of_first = _xy(chosen, canvas.size[1]).to(share)
    canvas.place[:, pixel[nearest]] = (of_first * share).sum(dim=-1)[:, nearest]


def _xy(index: Tensor, width: int) -> Tensor:
    return torch.stack([index % width, index // width])


def _candidates(corners: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Every pixel in the box around each triangle (2, T, 3): number of the triangle and of the pixel."""
    height, width = size
    last = corners.new_tensor([width - 1, height - 1]).view(2, 1)
    low = corners.amin(dim=2).ceil().clamp(min=0)
    high = torch.minimum(corners.amax(dim=2).floor(), last)
    sides = (high - low + 1).clamp(min=0).long()
    count = sides.prod(dim=0)
    which = torch.arange(len(count), device=count.device).repeat_interleave(count)
    number = torch.arange(len(which), device=count.device) - (count.cumsum(0) - count)[which]
    x = low[0].long()[which] + number % sides[0][which]
    y = low[1].long()[which] + number // sides[0][which]
    return which, y * width + x


def _barycentric(corners: Tensor, point: Tensor) -> Tensor:
    """Shares of the corners (2, N, 3) in points (2, N): (N, 3), negative outside, −1 for no area."""
    a, b, c = corners.unbind(dim=2)
    area = _cross(b - a, c - a)
    opposite = [_cross(c - b, point - b), _cross(a - c, point - c), _cross(b - a, point - a)]
    return torch.where(area == 0, -1.0, torch.stack(opposite) / area).T


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return a[0] * b[1] - a[1] * b[0]


def _far_corner(corners: Tensor, distance: Tensor) -> Tensor:
    """One-hot of the farthest corner, (N, 3) bool, of the triangles (2, N, 3) that are torn; 0 for others."""
    sides = torch.linalg.vector_norm(corners - corners.roll(1, dims=2), dim=0).sort(dim=1).values
    torn = sides[:, 1] > STRETCHED * sides[:, 0]
    return F.one_hot(distance.argmax(dim=1), 3).bool() & torn.unsqueeze(1)
