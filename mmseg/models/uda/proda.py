"""ProDA: prototypes correct pseudo-labels (Zhang et al., CVPR 2021; microsoft/ProDA 9ba80c7).

ProDA       stage 1: rectified labels of the weak view, consistency of the strong one
  start       the prototypes, of all target images
  _observe    the class means of a batch, which move the prototypes after the step
  _strong     rectified label; consistency
  _weak       symmetric cross-entropy, regularisation
The warm-up is in proda_warmup.py, stages 2 and 3 in proda_distillation.py. The equations are those of
docs/methods/proda.md. Losses of the target are computed at a quarter of the images' resolution, whatever that
of the network is.
"""
from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from mmseg.core.method import Pass, TargetImages, Terms
from mmseg.utils import ConfigError
from mmseg.utils.distributed import of_all_processes
from mmseg.utils.ranges import check_ranges

from ..builder import UDA, build_segmentor
from ..losses.confidence_regularization_loss import ConfidenceRegularizationLoss
from ..losses.cross_entropy_loss import CrossEntropyLoss
from ..losses.prototype_consistency_loss import PrototypeConsistencyLoss
from ..losses.reverse_cross_entropy_loss import ReverseCrossEntropyLoss
from .advent import source_images
from .parts.ema_teacher import follow
from .parts.prototypes import Prototypes, class_means, means_of_images
from .parts.quarter import check_single_output, classified, quarter, quarter_logits
from .parts.rectification import rectified_label
from .parts.strong_view import StrongView, strong_images, warp_distances
from .parts.teacher_student import TeacherStudent
from .parts.weak_view import crop_views, cut_probabilities, weak_views

NO_VIEW: Mapping[str, Any] = MappingProxyType({})


@UDA.register_module()
class ProDA(TeacherStudent):
    """Stage 1: source labels, rectified pseudo-labels, and consistent distances to prototypes.

    Args:
        model: config of the network; it has no auxiliary heads, and its decode head a ``conv_seg``.
        max_iters: length of the training, in steps.
        alpha: α of the teacher.
        momentum: λ of the prototypes.
        prototype_epochs: how often the prototypes are averaged over all target images before the first
            step, by the predictions of the network that the training starts from.
        prototype_steps: the first steps, in which they are averaged over the target's crops, and the source
            alone is learnt.
        threshold: a pixel whose rectified label is less certain is ignored, 0–1.
        ce_weight, rce_weight, regularization_weight, consistency_weight: of the target's losses.
        strong_view: settings of ``StrongView.draw``.
    """

    def __init__(self, model: dict, max_iters: int, alpha: float = 0.999, momentum: float = 1e-4,
                 prototype_epochs: int = 0, prototype_steps: int = 1000, threshold: float = 0.0,
                 ce_weight: float = 0.1, rce_weight: float = 1.0, regularization_weight: float = 0.1,
                 consistency_weight: float = 10.0, strong_view: Mapping = NO_VIEW):
        super().__init__(model, imagenet=False)
        check_ranges('uda.', (0, 1), alpha=alpha, threshold=threshold)
        check_ranges('uda.', prototype_epochs=prototype_epochs, prototype_steps=prototype_steps)
        channels = check_single_output(self.model)
        self.max_iters, self.alpha, self.threshold = max_iters, alpha, threshold
        self.prototype_epochs, self.prototype_steps = prototype_epochs, prototype_steps
        self.strong_view = dict(strong_view)
        self.start_model = build_segmentor(copy.deepcopy(model)).requires_grad_(False)
        self.prototypes = Prototypes(self.num_classes, channels, momentum)
        self.ce = CrossEntropyLoss(loss_weight=ce_weight, avg_non_ignore=True)
        self.rce = ReverseCrossEntropyLoss(rce_weight)
        self.regularization = ConfidenceRegularizationLoss(loss_weight=regularization_weight)
        self.consistency = PrototypeConsistencyLoss(consistency_weight)
        self._means: list[tuple[Tensor, Tensor]] = []
        self.train()

    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks(), 'start': self.start_model}

    def train(self, mode: bool = True) -> ProDA:
        super().train(mode)
        self.start_model.eval()
        return self

    def start(self, target: Callable[[], TargetImages]) -> None:
        if self.prototype_epochs:
            means, present = means_of_images(self.model, target(), self.num_classes)
            for _ in range(self.prototype_epochs):  # each gives the same means
                self.prototypes.average(means, present)

    def begin_step(self) -> None:
        self._means = []
        if self.local_iter == 0:
            if not (self.prototype_steps or self.prototype_epochs or self.prototypes.counts.any()):
                raise ConfigError('uda.prototype_steps and uda.prototype_epochs are 0, and the prototypes '
                                  'are empty: give one of them, e.g. uda.prototype_epochs=4')
            for network in (self.ema_model, self.start_model):
                network.load_state_dict(self.model.state_dict())

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """The source; then the strong view of the target and, last because it reaches all weights, the weak.

        Args:
            batch: as of ``DACS.passes``. It may have ``target_soft_label``, stored probabilities of the crops
                (B C H W), in the place of those that the start network gives to the crop; and
                ``target_full_img`` (B 3 H' W'), with ``target_views``, how the crops were made from them, a
                list of ``WeakView``, or the meta data that ``full_images`` of a data set give.
        """
        source = Pass(lambda: source_images(self.network('student'), batch)[1], ('student',))
        if self.local_iter < self.prototype_steps:
            self._observe(self.start_model, batch)
            return [source]
        views = [StrongView.draw(batch['target_img'].shape[-2:], **self.strong_view)
                 for _ in batch['target_img']]
        seen: dict[str, Tensor] = {}
        return [source, Pass(lambda: self._strong(batch, views, seen), ('student',)),
                Pass(lambda: self._weak(batch, seen), ('student',))]

    def end_step(self) -> None:
        update = self.prototypes.average if self.local_iter < self.prototype_steps else self.prototypes.move
        for means, present in self._means:
            update(of_all_processes(means), of_all_processes(present))
        follow(self.ema_model, self.model, self.alpha)
        super().end_step()

    @torch.no_grad()
    def _observe(self, network: nn.Module, batch: Mapping[str, Any]) -> Tensor:
        """Keep the class means of a batch for ``end_step``; its features (B D h w)."""
        img = batch.get('target_full_img', batch['target_img'])
        output, features = classified(network, network, img)
        features = quarter(features, img)
        label = quarter_logits(output, img).argmax(dim=1)
        self._means.append(class_means(features, label, num_classes=self.num_classes))
        return features

    @torch.no_grad()
    def _distance(self, batch: Mapping[str, Any]) -> Tensor:
        features = self._observe(self.ema_model, batch)
        views = crop_views(batch)
        if views is not None:
            features = weak_views(features, views)
        return self.prototypes.distance(features)

    @torch.no_grad()
    def _soft_label(self, batch: Mapping[str, Any]) -> Tensor:
        soft = batch.get('target_soft_label')
        views = crop_views(batch)
        if soft is None and views is not None:
            coarse = self.start_model.coarse_logits(batch['target_full_img']).float().softmax(dim=1)
            soft = cut_probabilities(coarse, batch['target_full_img'], views)
        elif soft is None:
            soft = self.start_model.encode_decode(batch['target_img']).softmax(dim=1)
        return quarter(soft, batch['target_img'])

    def _strong(self, batch: Mapping[str, Any], views: list[StrongView], seen: dict) -> Terms:
        distance = self._distance(batch)
        ignored = self.model.decode_head.ignore_index
        seen['label'], _ = rectified_label(self._soft_label(batch), distance, self.threshold, ignored)
        img = strong_images(batch['target_img'], batch['target_img_metas'], views)
        _, features = classified(self.network('student'), self.model, img)
        own = self.prototypes.distance(quarter(features, img))
        value = self.consistency(own, *warp_distances(distance, views))
        return Terms({'trg.consistency': self.consistency.loss_weight * value})

    def _weak(self, batch: Mapping[str, Any], seen: dict) -> Terms:
        [output] = self.network('student')(batch['target_img'])
        logits, label = quarter_logits(output, batch['target_img']), seen['label']
        ignored = self.model.decode_head.ignore_index
        values = {'ce': self.ce(logits, label, ignore_index=ignored),
                  'rce': self.rce(logits, label, ignored), 'regularization': self.regularization(logits)}
        return Terms({f'trg.{name}': getattr(self, name).loss_weight * value
                      for name, value in values.items()})
