"""Stochastic depth (Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016)."""
from __future__ import annotations

from torch import Tensor, nn


class DropPath(nn.Module):
    """Leaves a branch out for some samples of a batch while it trains, and scales it up for the others.

    It draws as timm's and torchvision's do, either of which takes a second or more to import.

    Args:
        p: probability, in [0, 1), with which a sample goes without the branch.
    """

    def __init__(self, p: float = 0.0):
        super().__init__()
        self.p = p

    def forward(self, branch: Tensor) -> Tensor:
        """The branch's output (B …), zeros where it is left out."""
        if not self.training or self.p == 0:
            return branch
        kept = branch.new_empty(len(branch), *[1] * (branch.ndim - 1)).bernoulli_(1 - self.p)
        return branch * kept.div_(1 - self.p)

    def extra_repr(self) -> str:
        return f'p={self.p}'
