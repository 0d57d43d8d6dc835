"""ProDA's stages 2 and 3: distillation into a network with another start (Zhang et al., CVPR 2021, section
3.3; microsoft/ProDA 9ba80c7). The equations are those of docs/methods/proda.md."""
from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from mmseg.checkpoint.weights import load_file, load_segmentor_weights
from mmseg.core.method import Pass, Terms
from mmseg.utils.ranges import check_range

from ..builder import UDA, build_segmentor
from ..losses.cross_entropy_loss import CrossEntropyLoss
from ..losses.distillation_loss import DistillationLoss
from .advent import source_images
from .parts.quarter import check_single_output, quarter_label, quarter_logits
from .parts.strong_view import StrongView, strong_images, warp_labels
from .proda import NO_VIEW
from .uda_decorator import UDADecorator


@UDA.register_module()
class ProDADistillation(UDADecorator):
    """Stages 2 and 3: hard pseudo-labels and the logits of the network of the stage before.

    Args:
        model: config of the network, without auxiliary heads.
        max_iters: length of the training, in steps.
        teacher: what the network of the stage before has otherwise than ``model``; None: nothing.
        teacher_from: its checkpoint; None: the weights that the training starts from.
        threshold: pixels up to this confidence have no label, 0–1; where the batch has no labels.
        distillation_weight, as_released: see ``DistillationLoss``.
        strong_view: settings of ``StrongView.draw``.
    """

    def __init__(self, model: dict, max_iters: int, teacher: dict | None = None,
                 teacher_from: str | None = None, threshold: float = 0.95, distillation_weight: float = 1.0,
                 as_released: bool = True, strong_view: Mapping = NO_VIEW):
        super().__init__(model)
        check_range(threshold, 'uda.threshold', 0, 1)
        check_single_output(self.model)
        self.max_iters, self.threshold, self.strong_view = max_iters, threshold, dict(strong_view)
        self.teacher_from = teacher_from
        self.teacher = build_segmentor(_changed(model, teacher or {})).requires_grad_(False)
        self.ce = CrossEntropyLoss(avg_non_ignore=True)
        self.distillation = DistillationLoss(as_released, distillation_weight)
        self.train()

    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks(), 'teacher': self.teacher}

    def init_weights(self) -> None:
        super().init_weights()
        if self.teacher_from is not None:
            load_segmentor_weights(self.teacher, load_file(self.teacher_from), source=self.teacher_from)

    def train(self, mode: bool = True) -> ProDADistillation:
        super().train(mode)
        self.teacher.eval()
        return self

    def begin_step(self) -> None:
        if self.local_iter == 0 and self.teacher_from is None:
            self.teacher.load_state_dict(self.model.state_dict())

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """The source, then the strong view of the target, with ``target_pseudo_semantic_seg`` (B 1 H W) or,
        where the batch has none, labels that the teacher gives to the crop."""
        views = [StrongView.draw(batch['target_img'].shape[-2:], **self.strong_view)
                 for _ in batch['target_img']]
        return [Pass(lambda: source_images(self.network('student'), batch)[1], ('student',)),
                Pass(lambda: self._target(batch, views), ('student',))]

    @torch.no_grad()
    def _label(self, batch: Mapping[str, Any]) -> Tensor:
        label = batch.get('target_pseudo_semantic_seg')
        if label is None:
            prob = self.teacher.encode_decode(batch['target_img']).softmax(dim=1)
            confidence, label = prob.max(dim=1, keepdim=True)
            label = label.masked_fill(confidence <= self.threshold, self.model.decode_head.ignore_index)
        return label

    def _target(self, batch: Mapping[str, Any], views: list[StrongView]) -> Terms:
        ignored = self.model.decode_head.ignore_index
        img = strong_images(batch['target_img'], batch['target_img_metas'], views)
        label = warp_labels(quarter_label(self._label(batch), img), views, ignored)
        with torch.no_grad():
            [taught] = self.teacher(img)
        [output] = self.network('student')(img)
        logits = quarter_logits(output, img)
        distilled = self.distillation(logits, quarter_logits(taught, img))
        return Terms({'trg.ce': self.ce(logits, label, ignore_index=ignored),
                      'trg.distillation': self.distillation.loss_weight * distilled})


def _changed(cfg: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a config with other values of some keys; dicts are changed key by key."""
    found = copy.deepcopy(dict(cfg))
    for key, value in changes.items():
        inner = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _changed(found[key], value) if inner else copy.deepcopy(value)
    return found
