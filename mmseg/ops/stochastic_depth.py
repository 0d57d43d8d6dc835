"""Stochastic depth (Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016)."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from .eager import is_eager_on_cpu
from .fast_linear import WIDE


class StochasticDepth(DropPath):
    """x + branch(x), in training without the branch for a share ``drop_prob`` of the samples.

    The branch of the others is scaled by 1 / (1 − drop_prob), so its expected value stays. On a CPU a branch
    that no sample of the batch takes is not computed, and a wide one for those samples only that take it; a
    GPU would have to wait for the draw, and multiplies by 0. Draws are the same, and so are values and
    gradients, those of a wide branch to the rounding.
    """

    def forward(self, x: Tensor, branch: Callable[[Tensor], Tensor], *modules: nn.Module) -> Tensor:
        """
        Args:
            x: (B N C).
            branch: of (B N C).
            modules: whose parameters the branch uses. Their gradients are zeros, not missing, where no sample
                takes the branch: an optimiser goes on with its averages, and other processes wait for them.
        """
        if not self.training or self.drop_prob == 0:
            return x + branch(x)
        if not is_eager_on_cpu(x):
            return x + super().forward(branch(x))
        keep = 1 - self.drop_prob
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
