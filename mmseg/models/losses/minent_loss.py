"""Minimal entropy and self-information (ADVENT: Vu et al., CVPR 2019, eq. 2–5; valeoai/ADVENT)."""
from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import LOSSES

EPSILON = 1e-30  # of the authors' code, inside the logarithm


def self_information(prob: Tensor) -> Tensor:
    """I_c = −p_c·log₂(p_c + ε) / log₂ C of probabilities (B C H W): (B C H W), float32.

    The sum over the classes is the normalised entropy, 0–1; a map of it is what ADVENT's discriminators see.
    """
    prob = prob.float()
    return -prob * torch.log2(prob + EPSILON) / math.log2(prob.shape[1])


@LOSSES.register_module()
class MinEntLoss(nn.Module):
    """L = Σ I / (B·H·W): the mean normalised entropy of the pixels, 0–1.

    Args:
        loss_weight: λ_ent, which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    takes_log_prob = True

    def __init__(self, loss_weight: float = 1e-3, loss_name: str = 'minent'):
        super().__init__()
        check_range(loss_weight, 'MinEntLoss: loss_weight', 0)
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(self, logits: Tensor, log_prob: Tensor | None = None) -> Tensor:
        """Unweighted loss of logits (B C H W), 0-dim. ``log_prob``: ln σ(logits), if it is known already."""
        log_prob = F.log_softmax(logits, dim=1) if log_prob is None else log_prob
        return self_information(log_prob.exp()).sum(dim=1).mean()
