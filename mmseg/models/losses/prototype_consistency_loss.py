"""Consistency of the assignments to prototypes under strong augmentation (ProDA: Zhang et al., CVPR 2021, eq.
9–12; microsoft/ProDA)."""
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_range

from ..builder import LOSSES


@LOSSES.register_module()
class PrototypeConsistencyLoss(nn.Module):
    """L = Σ KL(softmax(−d') ‖ softmax(−d)) / (valid pixels × classes).

    d' are the teacher's distances to the prototypes, of the weak view warped to the strong one, d those of
    the student, of the strong view. The mean over the classes, too, is the authors' code, not their paper.

    Args:
        loss_weight: which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    def __init__(self, loss_weight: float = 10.0, loss_name: str = 'consistency'):
        super().__init__()
        check_range(loss_weight, 'PrototypeConsistencyLoss: loss_weight', 0)
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(self, student: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
        """Unweighted loss in nats, 0 if no pixel is valid; no gradient flows to the teacher.

        Args:
            student, teacher: distances (B C h w).
            valid: pixels that have a counterpart in the weak view (B 1 h w), bool.
        """
        log_student = F.log_softmax(-student.float(), dim=1)
        soft_teacher = torch.softmax(-teacher.detach().float(), dim=1)
        divergence = F.kl_div(log_student, soft_teacher, reduction='none')
        return (divergence * valid).sum() / (valid.sum() * student.shape[1]).clamp(min=1)
