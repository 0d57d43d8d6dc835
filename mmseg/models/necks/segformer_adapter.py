from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from ..builder import NECKS
from ..utils.resize import resize


@NECKS.register_module()
class SegFormerAdapter(nn.Module):
    """Enlarges levels of a Mix Transformer, for heads made for dilated networks (DAFormer, table 2).

    Args:
        out_layers: the levels that are enlarged. The others are handed on as they are.
        scales: factor of each, per side.
    """

    def __init__(self, out_layers: Sequence[int] = (3,), scales: Sequence[float] = (4,)):
        super().__init__()
        self.scales = dict(zip(out_layers, scales))

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Levels (B C_i h_i w_i) → levels, those of ``out_layers`` at h_i·scale × w_i·scale."""
        return [resize(x, scale_factor=self.scales[i], mode='bilinear', align_corners=False)
                if self.scales.get(i, 1) != 1 else x for i, x in enumerate(features)]
