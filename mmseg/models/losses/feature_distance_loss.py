"""Thing-class ImageNet feature distance (DAFormer, section 3.3, eq. 9–13; method.md, step 4)."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import UserError
from mmseg.utils.ranges import check_range

from ..builder import LOSSES
from ..output import SegOutput


@LOSSES.register_module()
class FeatureDistanceLoss(nn.Module):
    """L_FD / λ_FD of a batch.

    Args:
        classes: train ids of the classes compared; None compares every position.
        scale_min_ratio: smallest share of a class in a cell of the feature map, 0–1.
        num_classes: C.
        ignore_index: label of the pixels without a class.
        loss_weight: λ_FD, which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    logs_raw = False

    def __init__(self, classes: Sequence[int] | None = None, scale_min_ratio: float | None = None,
                 num_classes: int = 19, ignore_index: int = 255, loss_weight: float = 0.005,
                 loss_name: str = 'loss_imnet_feat_dist'):
        super().__init__()
        if classes is not None and scale_min_ratio is None:
            raise UserError('uda.imnet_feature_dist_classes needs uda.imnet_feature_dist_scale_min_ratio')
        if scale_min_ratio is not None:
            check_range(scale_min_ratio, 'uda.imnet_feature_dist_scale_min_ratio', 0, 1)
        for number in classes or ():
            check_range(number, 'a class of uda.imnet_feature_dist_classes', 0, num_classes - 1)
        self.classes, self.scale_min_ratio = classes, scale_min_ratio
        self.num_classes, self.ignore_index = num_classes, ignore_index
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def of(self, output: SegOutput, seen: Mapping[str, Any]) -> Tensor:
        """The sum over the output's views, see ``regularise``. ``seen`` has 'imagenet', a function of an
        encoder's input (B 3 h w) that gives F_4^g, and 'label', y_S."""
        return sum(self(view.features[-1], seen['imagenet'](view.img),
                        seen['label'] if view.area is None else view.area.of(seen['label']))
                   for view in output.views)

    def forward(self, student: Tensor, imagenet: Tensor, label: Tensor) -> Tensor:
        """Features F_4^θ, F_4^g (B C h w) and labels y_S (B 1 H W), int64 → 0-dim, ≥ 0."""
        if self.classes is None:
            return feature_distance(student, imagenet)
        cells = downscale_label(label, student.shape[2:], self.num_classes, self.scale_min_ratio,
                                self.ignore_index)
        return feature_distance(student, imagenet, class_mask(cells, self.classes))


def downscale_label(label: Tensor, size: Sequence[int], num_classes: int, min_ratio: float,
                    ignore_index: int = 255) -> Tensor:
    """Label of each cell of a coarser grid: its largest class by area, if that class has enough of it.

    Args:
        label: class ids (B 1 H W), int64.
        size: height and width of the grid.
        min_ratio: smallest share of the area, 0–1; cells below it get ``ignore_index``.

    Returns:
        (B 1 h w) int64. Ignored pixels count as one more class.
    """
    label = torch.where(label == ignore_index, num_classes, label).squeeze(1)
    share = F.one_hot(label, num_classes + 1).permute(0, 3, 1, 2).float()
    ratio, cell = F.interpolate(share, size=tuple(size), mode='area').max(dim=1, keepdim=True)
    return torch.where((cell == num_classes) | (ratio < min_ratio), ignore_index, cell)


def feature_distance(student: Tensor, imagenet: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over the masked positions of ‖F^θ − F^g‖₂; 0 where the mask is empty.

    Args:
        student, imagenet: features (B C h w).
        mask: (B 1 h w) bool; None takes every position.
    """
    distance = torch.linalg.vector_norm(student.float() - imagenet.float(), dim=1)
    if mask is None:
        return distance.mean()
    mask = mask.squeeze(1)
    return (distance * mask).sum() / mask.sum().clamp(min=1)


def class_mask(label: Tensor, classes: Sequence[int]) -> Tensor:
    """Where ``label`` is one of ``classes``, bool."""
    # not torch.tensor(…, device=…), which synchronizes with the GPU
    return torch.isin(label, torch.tensor(list(classes)).to(label.device, non_blocking=True))
