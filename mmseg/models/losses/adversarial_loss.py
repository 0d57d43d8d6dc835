"""What a discriminator's answer costs: cross-entropy (Goodfellow et al., NeurIPS 2014; ADVENT, BDL) or least
squares (LSGAN: Mao et al., ICCV 2017; ProDA's warm-up, DANNet, CycleGAN)."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range

from ..builder import LOSSES

DISTANCES = {'bce': F.binary_cross_entropy_with_logits, 'mse': F.mse_loss}


@LOSSES.register_module()
class AdversarialLoss(nn.Module):
    """Mean over all answers of their distance from one label.

    Args:
        distance: 'bce', of answers as logits; 'mse', of answers as they are (LSGAN).
        loss_weight: λ_adv, which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    def __init__(self, distance: str = 'bce', loss_weight: float = 1e-3, loss_name: str = 'adversarial'):
        super().__init__()
        if distance not in DISTANCES:
            raise ConfigError(f"AdversarialLoss: distance '{distance}', expected bce or mse")
        check_range(loss_weight, 'AdversarialLoss: loss_weight', 0)
        self.distance, self.loss_weight, self.loss_name = distance, loss_weight, loss_name

    def forward(self, answer: Tensor, label: float) -> Tensor:
        """Unweighted loss, 0-dim, of a discriminator's output (B 1 h w) and what it should have said: 0–1."""
        answer = answer.float()
        return DISTANCES[self.distance](answer, torch.full_like(answer, label))
