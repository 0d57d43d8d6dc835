"""Reverse cross-entropy, the half of the symmetric one that wrong labels disturb less (Wang et al., ICCV
2019; in ProDA: Zhang et al., CVPR 2021, eq. 8; microsoft/ProDA)."""
from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import LOSSES

SMALLEST_PROBABILITY = 1e-7
SMALLEST_LABEL = 1e-4


@LOSSES.register_module()
class ReverseCrossEntropyLoss(nn.Module):
    """L = −Σ_c p_c·ln y_c, mean over valid pixels, with p_c ≥ 1e-7 and the one-hot label y_c ≥ 1e-4.

    The symmetric cross-entropy of ProDA is 0.1 times CrossEntropyLoss(avg_non_ignore=True) and 1 times this.

    Args:
        loss_weight: which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    def __init__(self, loss_weight: float = 1.0, loss_name: str = 'rce'):
        super().__init__()
        check_range(loss_weight, 'ReverseCrossEntropyLoss: loss_weight', 0)
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(self, logits: Tensor, label: Tensor, ignore_index: int = 255) -> Tensor:
        """Unweighted loss of logits (B C H W) and class ids (B H W), int64; 0 if every pixel is ignored."""
        valid = label != ignore_index
        prob = torch.softmax(logits.float(), dim=1).clamp(min=SMALLEST_PROBABILITY)
        # ln y is 0 at the label and ln 1e-4 elsewhere; the others are summed alone, as they may be tiny
        others = prob.scatter(1, (label * valid).unsqueeze(1), 0)
        loss = -math.log(SMALLEST_LABEL) * others.sum(dim=1)
        return (loss * valid).sum() / valid.sum().clamp(min=1)
