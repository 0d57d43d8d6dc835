"""Knowledge distillation of the later stages (ProDA: Zhang et al., CVPR 2021, eq. 13; microsoft/ProDA)."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import LOSSES


@LOSSES.register_module()
class DistillationLoss(nn.Module):
    """L = mean over pixels and classes of p'·(ln p' − ln p), p' the teacher's and p the student's softmax.

    Args:
        as_released: p in place of ln p, as in the authors' code: Σ p'·(ln p' − p). It is no divergence (it
            can be below 0) and its gradient, to p, is −p', whatever p is. False repairs it as their issue 20.
        loss_weight: which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    def __init__(self, as_released: bool = True, loss_weight: float = 1.0, loss_name: str = 'distillation'):
        super().__init__()
        check_range(loss_weight, 'DistillationLoss: loss_weight', 0)
        self.as_released, self.loss_weight, self.loss_name = as_released, loss_weight, loss_name

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Unweighted loss of logits (B C h w); no gradient flows to the teacher."""
        squash = torch.softmax if self.as_released else F.log_softmax
        soft_teacher = torch.softmax(teacher.detach().float(), dim=1)
        return F.kl_div(squash(student.float(), dim=1), soft_teacher, reduction='none').mean()
