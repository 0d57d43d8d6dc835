"""Model regularisation against overconfident pseudo-labels (CRST: Zou et al., ICCV 2019; in ProDA: Zhang et
al., CVPR 2021; microsoft/ProDA)."""
from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range

from ..builder import LOSSES


@LOSSES.register_module()
class ConfidenceRegularizationLoss(nn.Module):
    """Mean over all pixels, ignored ones too, of how far p = σ(logits) is from uniform.

    Args:
        kind: 'MRKLD', −(1/C)·Σ_c ln p_c, which ProDA takes, or 'MRENT', Σ_c p_c·ln p_c.
        loss_weight: which the caller applies; ``forward`` does not.
        loss_name: name in the log.

    Raises:
        ConfigError: another kind.
    """

    takes_log_prob = True

    def __init__(self, kind: str = 'MRKLD', loss_weight: float = 0.1, loss_name: str = 'regularization'):
        super().__init__()
        if kind not in ('MRKLD', 'MRENT'):
            raise ConfigError(f"ConfidenceRegularizationLoss: kind '{kind}', expected MRKLD or MRENT")
        check_range(loss_weight, 'ConfidenceRegularizationLoss: loss_weight', 0)
        self.kind, self.loss_weight, self.loss_name = kind, loss_weight, loss_name

    def forward(self, logits: Tensor, log_prob: Tensor | None = None) -> Tensor:
        """Unweighted loss in nats of logits (B C H W). ``log_prob``: ln σ(logits), if it is known already."""
        log_prob = F.log_softmax(logits, dim=1) if log_prob is None else log_prob
        if self.kind == 'MRKLD':
            return -log_prob.mean()
        return (log_prob.exp() * log_prob).sum(dim=1).mean()
