"""DACS / DAFormer / EBDA / MIC self-training. Numbers are steps of docs/method.md, M is methods/mic.md.

DACS: Tranheden et al., WACV 2021. DAFormer: Hoyer et al., CVPR 2022. With ``entropy_balance`` it is EBDA,
with ``masked`` MIC: Hoyer et al., CVPR 2023.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from mmseg.core.method import Pass, Terms
from mmseg.utils import UserError

from ..builder import UDA, build_loss
from ..losses.feature_distance_loss import FeatureDistanceLoss
from ..losses.labelled_pass import Labelled
from ..losses.supervision import regularise
from ..output import SegOutput
from .parts.ema_teacher import update_teacher
from .parts.masking import build_masked
from .parts.mixed_batch import MixedBatch, PseudoLabel, draw_masks, entropy_quantiles, mix_batch, visuals_of
from .parts.strong_augment import StrongAugmentation, checked_augmentation
from .parts.teacher_student import TeacherStudent, check_self_training


@UDA.register_module()
class DACS(TeacherStudent):
    """Self-training with an EMA teacher on class-mixed images.

    Args:
        model: config of the network; student, teacher and ImageNet encoder are built from it.
        max_iters: length of the training, in steps.
        alpha, pseudo_threshold: α of the teacher; τ, 0–1.
        teacher_after_step: the teacher follows after a step, as DACS's does, not before it, as DAFormer's.
        pseudo_weight_ignore_top, pseudo_weight_ignore_bottom: rows of the target without weight, pixels.
        imnet_feature_dist_lambda: λ_FD; 0 switches the feature distance off.
        imnet_feature_dist_classes: train ids of the classes compared; None compares every position.
        imnet_feature_dist_scale_min_ratio: smallest share of a class in a cell of the feature map, 0–1.
        mix, mix_per_image, mix_ignore_label: only 'class' exists (ClassMix); draw the pasted classes of each
            image on its own; let ignored pixels be drawn as a class. The defaults are DAFormer's.
        blur, color_jitter_strength, color_jitter_probability: see ``StrongAugmentation``.
        entropy_balance: config of the entropy balance loss; None is DAFormer.
        mix_losses: configs of further losses on the logits of the mixed batch.
        masked: settings of ``MaskedConsistency``, a pass on masked images; None is without.
        source_only: the source and its masked images alone: no teacher, no mixing.
        joint_encoder: source and mixed images in one pass of the student's encoder. Gradients are the same to
            the rounding; stochastic depth draws other numbers, and the activations of both are kept.
        debug_img_interval: every so many steps ``train_step`` returns 'visuals' for a picture.
        print_grad_magnitude: log the mean magnitude of the gradients after the source losses.
    """

    def __init__(self, model: dict, max_iters: int, alpha: float = 0.99, pseudo_threshold: float = 0.968,
                 pseudo_weight_ignore_top: int = 0, pseudo_weight_ignore_bottom: int = 0,
                 teacher_after_step: bool = False, imnet_feature_dist_lambda: float = 0.0,
                 imnet_feature_dist_classes: Sequence[int] | None = None,
                 imnet_feature_dist_scale_min_ratio: float | None = None, mix: str = 'class',
                 mix_per_image: bool = False, mix_ignore_label: bool = True, blur: bool = True,
                 color_jitter_strength: float | dict = 0.2, color_jitter_probability: float = 0.2,
                 entropy_balance: dict | None = None, mix_losses: Sequence[dict] = (),
                 masked: dict | None = None, source_only: bool = False, joint_encoder: bool = False,
                 debug_img_interval: int = 1000, print_grad_magnitude: bool = False):
        super().__init__(model, imagenet=imnet_feature_dist_lambda > 0, teacher=not source_only)
        if mix != 'class':
            raise UserError(f"DACS: mix '{mix}', only 'class' exists")
        if joint_encoder and (print_grad_magnitude or source_only):
            raise UserError('uda.print_grad_magnitude and uda.source_only need uda.joint_encoder=False')
        self.ignore_rows = (pseudo_weight_ignore_top, pseudo_weight_ignore_bottom)
        check_self_training(alpha, pseudo_threshold, *self.ignore_rows, imnet_feature_dist_lambda)
        self.max_iters, self.alpha, self.pseudo_threshold = max_iters, alpha, pseudo_threshold
        self.mix_per_image, self.mix_ignore_label = mix_per_image, mix_ignore_label
        self.teacher_after_step = teacher_after_step
        self.augmentation = checked_augmentation(blur, color_jitter_probability, color_jitter_strength)
        self.debug_img_interval, self.joint_encoder = debug_img_interval, joint_encoder
        self.log_gradients = 'src.grad_magnitude' if print_grad_magnitude else None
        distance = FeatureDistanceLoss(
            imnet_feature_dist_classes, imnet_feature_dist_scale_min_ratio, self.num_classes,
            self.model.decode_head.ignore_index, loss_weight=imnet_feature_dist_lambda)
        self.source_losses = [distance] if imnet_feature_dist_lambda > 0 else []
        self.mix_losses.extend(build_loss(cfg) for cfg in (entropy_balance, *mix_losses) if cfg)
        self.mic = None if masked is None else build_masked(masked, model, self)
        self.train()

    def begin_step(self) -> None:
        if self.ema_model is not None and not (self.teacher_after_step and self.local_iter):
            update_teacher(self.ema_model, self.model, self.local_iter, self.alpha)                  # 1
        if self.mic is not None:
            self.mic.begin_step(self.model, self.local_iter)

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """The source images, the mixed ones (with ``joint_encoder`` both together), the masked ones.

        Args:
            batch: normalised images ``img`` x_S, ``target_img`` x_T (B 3 H W); ``gt_semantic_seg`` y_S,
                int64, and maybe ``valid_pseudo_mask``, 0 where pseudo-labels have no weight (B 1 H W);
                ``img_metas`` of x_S: with 'label_classes', the ids in y_S, no pass waits for the device.
        """
        augment = StrongAugmentation.draw(**self.augmentation, graphs=self.graphs)                   # 2
        pseudo = cache(lambda: self._pseudo_label(batch))
        computed = [lambda: self._source(batch)]
        if self.joint_encoder:
            computed = [lambda: self._both(batch, augment, pseudo())]
        elif self.ema_model is not None:
            computed.append(lambda: self._mixed(batch, augment, pseudo()))
        if self.mic is not None:
            computed.append(lambda: self._masked(batch, pseudo))
        return [Pass(compute, ('student',), None if i else self.log_gradients)
                for i, compute in enumerate(computed)]

    def _source(self, batch: Mapping[str, Any]) -> Terms:
        [found] = self.student_pass(self._labelled(batch))
        return self._source_terms(*found, batch)

    def _mixed(self, batch: Mapping[str, Any], augment: StrongAugmentation, pseudo: PseudoLabel) -> Terms:
        mixed = self._mix(batch, augment, pseudo)
        [found] = self.student_pass(mixed.labelled(self.mix_losses))                                 # 8, 9
        return self._mixed_terms(*found, batch, mixed, pseudo)

    def _both(self, batch: Mapping[str, Any], augment: StrongAugmentation, pseudo: PseudoLabel) -> Terms:
        mixed = self._mix(batch, augment, pseudo)
        source, found = self.student_pass(self._labelled(batch), mixed.labelled(self.mix_losses))
        return self._source_terms(*source, batch) + self._mixed_terms(*found, batch, mixed, pseudo)

    def _masked(self, batch: Mapping[str, Any], pseudo: Callable[[], PseudoLabel]) -> Terms:
        [(terms, _)] = self.student_pass(self.mic.batch(batch, pseudo))                              # M
        return self.mic.weighted(terms)

    def _labelled(self, batch: Mapping[str, Any]) -> Labelled:
        return Labelled(batch['img'], batch['gt_semantic_seg'], observers=self.mix_losses)           # 3

    def _source_terms(self, terms: Terms, output: SegOutput, batch: Mapping[str, Any]) -> Terms:
        distance = regularise(self.source_losses, output, label=batch['gt_semantic_seg'],            # 4
                              imagenet=self.imagenet_feature)
        return terms + distance.prefixed('src')

    def _pseudo_label(self, batch: Mapping[str, Any]) -> PseudoLabel:
        return PseudoLabel.by(self.ema_model, batch, self.pseudo_threshold, self.ignore_rows,        # 5
                              self.graphs)

    def _mix(self, batch: Mapping[str, Any], augment: StrongAugmentation, pseudo: PseudoLabel) -> MixedBatch:
        never = None if self.mix_ignore_label else self.model.decode_head.ignore_index
        mask = draw_masks(batch['gt_semantic_seg'], batch['img_metas'], self.mix_per_image, never)   # 6
        return mix_batch(batch, pseudo, mask, augment)                                               # 7

    def _mixed_terms(self, terms: Terms, output: SegOutput, batch: Mapping[str, Any], mixed: MixedBatch,
                     pseudo: PseudoLabel) -> Terms:
        if self.local_iter % self.debug_img_interval == 0:
            terms.visuals = visuals_of(self.local_iter, batch, mixed, pseudo, output.logits)
        quantiles = entropy_quantiles(output) if self.logged_now else {}
        return Terms(metrics={'l.pseudo_weight': pseudo.quality, **quantiles}) + terms.prefixed('mix')
