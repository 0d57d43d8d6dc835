"""Pixel samplers: which pixels of a batch a loss looks at."""
from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmcv.utils import Registry
from torch import Tensor

from mmseg.utils import build_from_cfg

PIXEL_SAMPLERS = Registry('pixel sampler', build_func=build_from_cfg)


def build_pixel_sampler(cfg: dict, **default_args: Any) -> Any:
    return PIXEL_SAMPLERS.build(cfg, default_args=default_args)


@PIXEL_SAMPLERS.register_module()
class OHEMPixelSampler:
    """Online hard example mining: weight 1 for the hard pixels, 0 for the others.

    Args:
        context: the decode head whose losses rank the pixels (used when ``thresh`` is None).
        thresh: a pixel is hard if the probability of its class is below this (0–1), or below that of
            the ``min_kept`` hardest. None: the ``min_kept`` pixels of the largest loss.
        min_kept: pixels kept at least, an image.
    """

    def __init__(self, context: Any = None, thresh: float | None = None, min_kept: int = 100000):
        self.context, self.thresh, self.min_kept = context, thresh, max(int(min_kept), 1)

    @torch.no_grad()
    def sample(self, seg_logit: Tensor, seg_label: Tensor) -> Tensor:
        """Logits (B C H W) and labels (B 1 H W) → weights (B H W)."""
        label = seg_label.squeeze(1)
        valid = label != self.context.ignore_index
        kept = min(self.min_kept * label.shape[0], int(valid.sum()))
        weight = torch.zeros_like(label, dtype=seg_logit.dtype)
        if kept == 0:
            return weight
        if self.thresh is None:
            loss = sum(module.loss_weight * _pixel_loss(module, seg_logit, label, self.context.ignore_index)
                       for module in self.context.losses_decode)
            hardest = loss.masked_fill(~valid, -torch.inf).flatten().topk(kept).indices
            weight.view(-1)[hardest] = 1.0
            return weight
        probability = F.softmax(seg_logit, dim=1).gather(1, label.where(valid, 0).unsqueeze(1)).squeeze(1)
        ranked = probability[valid].sort().values
        threshold = ranked[min(kept, ranked.numel() - 1)].clamp(min=self.thresh)
        weight[valid & (probability < threshold)] = 1.0
        return weight


def _pixel_loss(module: Any, seg_logit: Tensor, label: Tensor, ignore_index: int) -> Tensor:
    reduction, module.reduction = module.reduction, 'none'
    try:
        return module(seg_logit, label, ignore_index=ignore_index)
    finally:
        module.reduction = reduction
