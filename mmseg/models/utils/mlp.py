from __future__ import annotations

from torch import Tensor, nn


class MLP(nn.Module):
    """Linear embedding of every position: (B C H W) → (B embed_dim H W)."""

    def __init__(self, input_dim: int, embed_dim: int):
        super().__init__()
        self.proj = nn.Linear(input_dim, embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
