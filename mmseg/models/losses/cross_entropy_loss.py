from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import ConfigError, UserError
from mmseg.utils.ranges import check_range

from ..builder import LOSSES


@LOSSES.register_module()
class CrossEntropyLoss(nn.Module):
    """Pixel-wise cross-entropy, mean over *all* pixels (method.md, steps 3 and 8).

    An ignored pixel contributes 0 and still counts in the mean, as in the reference implementation;
    ``avg_non_ignore=True`` divides by the number of valid pixels instead, and ``'unweighted'`` does so where
    the pixels have no weights: DACS, whose source has none.

    Args:
        use_sigmoid: binary cross-entropy of each class against the rest.
        reduction: 'mean', 'sum' or 'none'.
        class_weight: one factor a class.
        loss_weight: the factor that the caller applies; ``forward`` does not.
        loss_name: name in the log.
        avg_class_weight: divide by the sum of the valid pixels' class weights, as PyTorch does (DANNet);
            needs ``avg_non_ignore`` and ``class_weight``.

    Raises:
        ConfigError: settings that do not go together.
    """

    def __init__(self, use_sigmoid: bool = False, reduction: str = 'mean',
                 class_weight: Sequence[float] | None = None, loss_weight: float = 1.0,
                 loss_name: str = 'loss_seg', avg_non_ignore: bool | Literal['unweighted'] = False,
                 avg_class_weight: bool = False):
        super().__init__()
        if reduction not in ('mean', 'sum', 'none'):
            raise UserError(f"CrossEntropyLoss: reduction '{reduction}', expected mean, sum or none")
        if avg_class_weight and (use_sigmoid or class_weight is None or avg_non_ignore is not True):
            raise ConfigError('CrossEntropyLoss: avg_class_weight needs class_weight, avg_non_ignore=True '
                              'and use_sigmoid=False')
        check_range(loss_weight, 'CrossEntropyLoss: loss_weight', 0)
        self.use_sigmoid, self.reduction = use_sigmoid, reduction
        self.loss_weight, self.loss_name, self.avg_non_ignore = loss_weight, loss_name, avg_non_ignore
        self.class_weight = None if class_weight is None else list(class_weight)
        self.avg_class_weight = avg_class_weight

    @property
    def takes_log_prob(self) -> bool:
        return not self.use_sigmoid

    def forward(self, cls_score: Tensor, label: Tensor, weight: Tensor | None = None,
                ignore_index: int = 255, log_prob: Tensor | None = None) -> Tensor:
        """Unweighted loss in nats.

        Args:
            cls_score: logits (B C H W).
            label: class ids (B H W), int64.
            weight: factor of each pixel (B H W).
            log_prob: ln σ(cls_score) over the classes, if it is known already.
        """
        class_weight = None
        if self.class_weight is not None:
            class_weight = torch.tensor(self.class_weight, dtype=cls_score.dtype)
            class_weight = class_weight.to(cls_score.device, non_blocking=True)
        if self.use_sigmoid:
            loss = _binary_cross_entropy(cls_score, label, class_weight, ignore_index)
        else:
            log_prob = F.log_softmax(cls_score, dim=1) if log_prob is None else log_prob
            loss = F.nll_loss(log_prob, label, class_weight, reduction='none', ignore_index=ignore_index)
        if weight is not None:
            loss = loss * weight
        only_valid = weight is None if self.avg_non_ignore == 'unweighted' else self.avg_non_ignore
        return self._reduce(loss, label, class_weight, ignore_index, only_valid)

    def _reduce(self, loss: Tensor, label: Tensor, class_weight: Tensor | None, ignore_index: int,
                only_valid: bool) -> Tensor:
        if self.reduction == 'none':
            return loss
        if self.reduction == 'sum':
            return loss.sum()
        if not only_valid:
            return loss.mean()
        valid = label != ignore_index
        if self.avg_class_weight:
            return loss.sum() / (class_weight[label * valid] * valid).sum().clamp(min=1e-6)
        return loss.sum() / valid.sum().clamp(min=1)


def _binary_cross_entropy(cls_score: Tensor, label: Tensor, class_weight: Tensor | None,
                          ignore_index: int) -> Tensor:
    """Mean over the classes of the one-against-rest cross-entropy, (B H W)."""
    valid = label != ignore_index
    classes = torch.arange(cls_score.shape[1], device=label.device).view(1, -1, 1, 1)
    one_hot = (classes == label.unsqueeze(1)).to(cls_score.dtype)
    loss = F.binary_cross_entropy_with_logits(cls_score, one_hot, reduction='none')
    if class_weight is not None:
        loss = loss * class_weight.view(1, -1, 1, 1)
    return loss.mean(dim=1) * valid
