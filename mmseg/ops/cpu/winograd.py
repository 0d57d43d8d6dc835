"""Winograd's minimal filtering F(4×4, 3×3) as a few matrix products (Lavin and Gray, "Fast Algorithms for
Convolutional Neural Networks", CVPR 2016, sections 4.1 and 4.3): a 3×3 convolution with a quarter of the
multiplications.

Float32 values differ from those of a direct convolution by about 1e-5 of the largest value, as those of
cuDNN do, which takes the same way on GPUs.
"""
from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

OUT, TILE = 4, 6  # sides of the tiles of the output and of the input, pixels
# Lavin and Gray, section 4.3; B and A of one dimension are transposed there as here
B_T = [[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
       [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]]
G = [[1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
     [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1]]
A_T = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


@cache
def _in_two_dimensions() -> tuple[Tensor, Tensor, Tensor]:
    """Bᵀ, G and Aᵀ of a whole tile, (36 36), (36 9) and (16 36), on the CPU."""
    b_t, g, a_t = (torch.tensor(rows, dtype=torch.float64) for rows in (B_T, G, A_T))
    return torch.kron(b_t, b_t).float(), torch.kron(g, g).float(), torch.kron(a_t, a_t).float()


def winograd_conv3x3(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """A 3×3 convolution with stride and padding 1, on the CPU.

    Args:
        x: (B C H W), float32, best channels-last.
        weight: (O C 3 3).
        bias: (O), or None.

    Returns:
        (B O H W), channels-last.
    """
    # shaped outside: what a Function returns as a view cannot be changed in place
    out = _WinogradConv.apply(x, weight).permute(0, 3, 1, 2)
    return out if bias is None else out + bias.view(-1, 1, 1)


class _WinogradConv(torch.autograd.Function):
    """V = Bᵀ d B of the tiles, U = G g Gᵀ of the filters, Y = Aᵀ [V·U over the channels] A.

    V (T 36 C), U (36 O C), Y (T 16 O) with T tiles of the batch. (B C H W) and (O C 3 3) → (B H W O).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        b_t, g, a_t = _in_two_dimensions()
        tiles = _cut(x)
        v = torch.matmul(b_t, tiles.reshape(-1, TILE ** 2, x.shape[1]))
        u = (g @ weight.reshape(-1, 9).t()).view(TILE ** 2, -1, x.shape[1])
        m = torch.bmm(v.transpose(0, 1), u.transpose(1, 2))
        y = torch.matmul(a_t, m.transpose(0, 1))
        ctx.save_for_backward(v, u)
        ctx.size = x.shape
        return _cropped(_side_by_side(y.view(*tiles.shape[:3], OUT, OUT, -1)), x.shape[2:])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        b_t, g, a_t = _in_two_dimensions()
        v, u = ctx.saved_tensors
        batch, channels, height, width = ctx.size
        rows, columns = -(-height // OUT), -(-width // OUT)
        grad = F.pad(grad, (0, 0, 0, columns * OUT - width, 0, rows * OUT - height))
        grad = grad.reshape(batch, rows, OUT, columns, OUT, -1).transpose(2, 3)
        grad_m = torch.matmul(a_t.t(), grad.reshape(len(v), OUT ** 2, -1)).transpose(0, 1)
        grad_x = grad_weight = None
        if ctx.needs_input_grad[0]:
            tiles = torch.matmul(b_t.t(), torch.bmm(grad_m, u).transpose(0, 1))
            grad_x = _cropped(_joined(tiles.view(batch, rows, columns, TILE, TILE, channels))[:, 1:, 1:],
                              (height, width)).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            grad_u = torch.bmm(grad_m.transpose(1, 2), v.transpose(0, 1)).view(TILE ** 2, -1)
            grad_weight = (g.t() @ grad_u).t().reshape(-1, channels, 3, 3)
        return grad_x, grad_weight


def _cut(x: Tensor) -> Tensor:
    """Overlapping 6×6 tiles, four pixels apart, of the image with its border of zeros: (B C H W) →
    (B rows columns 6 6 C), a view."""
    height, width = x.shape[2:]
    rows, columns = -(-height // OUT), -(-width // OUT)
    padded = F.pad(x.permute(0, 2, 3, 1),
                   (0, 0, 1, 1 + columns * OUT - width, 1, 1 + rows * OUT - height)).contiguous()
    image, row, column, channel = padded.stride()
    return padded.as_strided((len(x), rows, columns, TILE, TILE, x.shape[1]),
                             (image, OUT * row, OUT * column, row, column, channel))


def _joined(tiles: Tensor) -> Tensor:
    """The transpose of :func:`_cut`: tiles are added where they overlap, (B rows columns 6 6 C) →
    (B 4·rows+2 4·columns+2 C)."""
    batch, rows, columns, _, _, channels = tiles.shape
    strips = tiles.new_zeros(batch, rows, TILE, columns * OUT + 2, channels)
    for j in range(TILE):
        strips[:, :, :, j:j + columns * OUT:OUT] += tiles[:, :, :, :, j].transpose(2, 3)
    image = tiles.new_zeros(batch, rows * OUT + 2, columns * OUT + 2, channels)
    for i in range(TILE):
        image[:, i:i + rows * OUT:OUT] += strips[:, :, i]
    return image


def _side_by_side(tiles: Tensor) -> Tensor:
    """(B rows columns h w C) → (B rows·h columns·w C), no view."""
    batch, rows, columns, height, width, channels = tiles.shape
    image = tiles.new_empty(batch, rows * height, columns * width, channels)
    image.view(batch, rows, height, columns, width, channels).copy_(tiles.transpose(2, 3))
    return image


def _cropped(x_BHWC: Tensor, size: torch.Size | tuple[int, int]) -> Tensor:
    """The first rows and columns; no view of more."""
    return x_BHWC if x_BHWC.shape[1:3] == size else x_BHWC[:, :size[0], :size[1]].clone()
