"""The robust entropy penalty of FDA (Yang and Soatto, CVPR 2020, eq. 5; YanchaoYang/FDA)."""
from __future__ import annotations

import math

from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import LOSSES
from .entropy_balance_loss import pixel_entropy

EPSILON = 1e-8


@LOSSES.register_module()
class CharbonnierEntropyLoss(nn.Module):
    """L = mean over all pixels of ((H / H_max)² + ε)^η with H in nats.

    With η > ½ uncertain pixels weigh more than they do in the entropy itself, certain ones less. FDA takes
    H at the resolution of the network's output, before up-sampling.

    Args:
        eta: η, > 0.
        loss_weight: λ_ent, which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    takes_log_prob = True

    def __init__(self, eta: float = 2.0, loss_weight: float = 0.005, loss_name: str = 'charbonnier'):
        super().__init__()
        check_range(eta, 'CharbonnierEntropyLoss: eta', above=0)
        check_range(loss_weight, 'CharbonnierEntropyLoss: loss_weight', 0)
        self.eta, self.loss_weight, self.loss_name = eta, loss_weight, loss_name

    def forward(self, logits: Tensor, log_prob: Tensor | None = None) -> Tensor:
        """Unweighted loss of logits (B C H W), 0-dim. ``log_prob``: ln σ(logits), if it is known already."""
        # to four digits, as the authors write it: 2.9444 for 19 classes
        most = round(math.log(logits.shape[1]), 4)
        share = pixel_entropy(logits, log_prob) / most
        return (share.square() + EPSILON).pow(self.eta).mean()
