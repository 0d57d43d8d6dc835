"""Stochastic depth (Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016) without the branches that
it leaves out."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mmseg.models.backbones.mix_transformer import Block
from mmseg.models.utils.drop_path import DropPath

from .eager import is_eager_on_cpu
from .linear import WIDE


class CPUBlock(Block):
    """``Block`` with the same parameters, the same draws and, to the rounding, the same values and gradients.

    A branch that no sample of the batch takes is not computed, and a wide one for those samples only that
    take it. A GPU would have to wait for the draw.
    """

    def forward(self, x: Tensor, height: int, width: int) -> Tensor:
        if not is_eager_on_cpu(x):
            return super().forward(x, height, width)
        x = add_branch(x, lambda x: self.attn(self.norm1(x), height, width), self.drop_path,
                       self.norm1, self.attn)
        return add_branch(x, lambda x: self.mlp(self.norm2(x), height, width), self.drop_path,
                          self.norm2, self.mlp)


def add_branch(x: Tensor, branch: Callable[[Tensor], Tensor], drop_path: DropPath,
               *modules: nn.Module) -> Tensor:
    """x + drop_path(branch(x)), on a CPU. The draw comes before the branch.

    Args:
        x: (B N C).
        branch: of (B N C).
        modules: whose parameters the branch uses. Their gradients are zeros, not missing, where no sample
            takes the branch: an optimiser goes on with its averages, and other processes wait for them.
    """
    if not drop_path.training or drop_path.p == 0:
        return x + branch(x)
    keep = 1 - drop_path.p
    scale = x.new_empty(len(x), 1, 1).bernoulli_(keep).div_(keep)
    takers = scale.flatten().nonzero().flatten()
    if not len(takers):
        return _Unused.apply(x, *(p for module in modules for p in module.parameters()))
    if len(takers) == len(x) or x.shape[-1] < WIDE:
        return x + branch(x) * scale
    return x.index_add(0, takers, branch(x.index_select(0, takers)).to(x.dtype) / keep)


class _Unused(torch.autograd.Function):
    """x, and zeros as gradients of the parameters."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *parameters: Tensor) -> Tensor:
        ctx.parameters = parameters
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        return grad, *(torch.zeros_like(p) if p.requires_grad else None for p in ctx.parameters)
