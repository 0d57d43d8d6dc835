"""DACS / DAFormer / EBDA self-training. The numbers are the steps of docs/method.md.

DACS: Tranheden et al., WACV 2021. DAFormer: Hoyer et al., CVPR 2022. With ``entropy_balance`` it is EBDA.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from mmseg.core.optimizer_step import OptimizerStep, as_optimizer_step
from mmseg.utils import UserError

from ..builder import UDA, build_loss
from ..losses.log_prob import log_prob_for
from ..segmentors.parse_losses import add_prefix, parse_losses
from .parts.class_mix import draw_class_masks, mix
from .parts.ema_teacher import update_teacher
from .parts.feature_distance import FeatureDistance
from .parts.pseudo_label import pixel_weight, pseudo_label
from .parts.strong_augment import StrongAugmentation, checked_augmentation
from .parts.teacher_student import TeacherStudent, check_self_training


@UDA.register_module()
class DACS(TeacherStudent):
    """Self-training with an EMA teacher on class-mixed images.

    Args:
        model: config of the network; student, teacher and ImageNet encoder are built from it.
        max_iters: length of the training, in steps.
        alpha: α of the teacher.
        pseudo_threshold: τ, 0–1.
        pseudo_weight_ignore_top, pseudo_weight_ignore_bottom: rows of the target without weight, pixels.
        imnet_feature_dist_lambda: λ_FD; 0 switches the feature distance off.
        imnet_feature_dist_classes: train ids of the classes compared; None compares every position.
        imnet_feature_dist_scale_min_ratio: smallest share of a class in a cell of the feature map, 0–1.
        mix: only 'class' exists (ClassMix).
        mix_per_image, mix_ignore_label: draw the pasted classes of each image on its own; let ignored
            pixels be drawn as a class. The defaults are the released code's.
        blur, color_jitter_strength, color_jitter_probability: see ``StrongAugmentation``.
        entropy_balance: config of the entropy balance loss; None is DAFormer.
        mix_losses: configs of further losses on the logits of the mixed batch.
        joint_encoder: source and mixed images in one pass of the student's encoder. Gradients are the same to
            the rounding; stochastic depth draws other numbers, and the activations of both are kept.
        debug_img_interval: every so many steps ``train_step`` returns 'visuals' for a picture.
        print_grad_magnitude: log the mean magnitude of the gradients after the source losses.
    """

    def __init__(self, model: dict, max_iters: int, alpha: float = 0.99, pseudo_threshold: float = 0.968,
                 pseudo_weight_ignore_top: int = 0, pseudo_weight_ignore_bottom: int = 0,
                 imnet_feature_dist_lambda: float = 0.0,
                 imnet_feature_dist_classes: Sequence[int] | None = None,
                 imnet_feature_dist_scale_min_ratio: float | None = None, mix: str = 'class',
                 mix_per_image: bool = False, mix_ignore_label: bool = True, blur: bool = True,
                 color_jitter_strength: float | dict = 0.2, color_jitter_probability: float = 0.2,
                 entropy_balance: dict | None = None, mix_losses: Sequence[dict] = (),
                 joint_encoder: bool = False, debug_img_interval: int = 1000,
                 print_grad_magnitude: bool = False):
        super().__init__(model, imagenet=imnet_feature_dist_lambda > 0)
        if mix != 'class':
            raise UserError(f"DACS: mix '{mix}', only 'class' exists")
        if joint_encoder and print_grad_magnitude:
            raise UserError('uda.print_grad_magnitude needs uda.joint_encoder=False')
        check_self_training(alpha, pseudo_threshold, pseudo_weight_ignore_top, pseudo_weight_ignore_bottom,
                            imnet_feature_dist_lambda)
        self.max_iters, self.alpha, self.pseudo_threshold = max_iters, alpha, pseudo_threshold
        self.ignore_rows = (pseudo_weight_ignore_top, pseudo_weight_ignore_bottom)
        self.fdist_lambda = imnet_feature_dist_lambda
        self.feature_distance = FeatureDistance(
            imnet_feature_dist_classes, imnet_feature_dist_scale_min_ratio, self.num_classes,
            self.model.decode_head.ignore_index)
        self.mix_per_image, self.mix_ignore_label = mix_per_image, mix_ignore_label
        self.augmentation = checked_augmentation(blur, color_jitter_probability, color_jitter_strength)
        self.debug_img_interval, self.print_grad_magnitude = debug_img_interval, print_grad_magnitude
        auxiliary = [*([entropy_balance] if entropy_balance else []), *mix_losses]
        self.mix_losses = nn.ModuleList(build_loss(cfg) for cfg in auxiliary)
        self.joint_encoder, self.local_iter = joint_encoder, 0
        self.train()

    # ------------------------------------------------------------------- state

    def training_state(self) -> dict[str, Any]:
        """What a resumed run needs beyond the weights."""
        return {'local_iter': self.local_iter, 'mix_losses': dict(self.mix_losses.named_buffers())}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.local_iter = int(state['local_iter'])
        saved = state.get('mix_losses', {})
        for name, buffer in self.mix_losses.named_buffers():
            if name in saved:  # not in checkpoints of the lineage, nor in those of another loss
                buffer.copy_(saved[name])

    # -------------------------------------------------------------------- step

    def train_step(self, data_batch: dict, optimizer: torch.optim.Optimizer | OptimizerStep,
                   **kwargs) -> dict[str, Any]:
        """One training step, parameters updated. ``log_vars`` are 0-dim tensors on the device."""
        step = as_optimizer_step(optimizer)
        update_teacher(self.ema_model, self.model, self.local_iter, self.alpha)                      # 1
        outputs = step.run(data_batch, lambda part: self(**part, step=step))                 # 2–9, then 10
        self.local_iter += 1
        return outputs

    def forward_train(self, img: Tensor, img_metas: Sequence[dict], gt_semantic_seg: Tensor,
                      target_img: Tensor, target_img_metas: Sequence[dict] | None = None, *,
                      step: OptimizerStep) -> dict[str, Any]:
        """The losses of a batch and their backward passes.

        Args:
            img, target_img: normalised images x_S, x_T (B 3 H W).
            img_metas: of x_S; with 'label_classes', the ids in y_S, no pass waits for the device.
            gt_semantic_seg: y_S (B 1 H W), int64.
            step: takes the gradients.
        """
        source = dict(img=img, img_metas=img_metas, gt_semantic_seg=gt_semantic_seg, return_feat=True)
        augment = StrongAugmentation.draw(**self.augmentation)                                       # 2
        source_log = {} if self.joint_encoder else self._train_source(source, step)                  # 3, 4
        label, weight, quality = self._pseudo_label(target_img)                                      # 5
        mask = self._draw_masks(gt_semantic_seg, img_metas)                                          # 6
        mixed_label = mix(mask, gt_semantic_seg, label.unsqueeze(1))                                 # 7
        mixed_weight = mix(mask, torch.ones_like(weight).unsqueeze(1), weight.unsqueeze(1)).squeeze(1)
        mixed = dict(img=augment(mix(mask, img, target_img), img_metas), img_metas=img_metas,
                     gt_semantic_seg=mixed_label, seg_weight=mixed_weight, return_logits=True)
        if self.joint_encoder:
            source_log, mixed_log, logits = self._train_jointly(source, mixed, step)           # 3, 4, 8, 9
        else:
            mixed_log, logits = self._train_mixed(mixed, step)                                       # 8, 9
        outputs = dict(log_vars={**source_log, 'l.pseudo_weight': quality, **mixed_log})
        if self.local_iter % self.debug_img_interval == 0:
            outputs['visuals'] = dict(
                step=self.local_iter, img_metas=img_metas, source=img, source_label=gt_semantic_seg,
                target=target_img, pseudo_label=label, mixed=mixed['img'], mixed_label=mixed_label, mask=mask,
                weight=mixed_weight, logits=logits.detach())
        return outputs

    def _draw_masks(self, label: Tensor, img_metas: Sequence[dict]) -> Tensor:
        never = None if self.mix_ignore_label else self.model.decode_head.ignore_index
        present = [meta.get('label_classes') for meta in img_metas]
        return draw_class_masks(label, self.mix_per_image, never, None if None in present else present)

    def _train_source(self, batch: dict, step: OptimizerStep) -> dict[str, Tensor]:
        """L_S and L_FD, one backward pass for both. Gradients are not exchanged between processes yet:
        those of the mixed loss follow."""
        with step.no_exchange(self.student, last=False):
            loss, log_vars = self._source_loss(batch, self.student(**batch))
            step.backward(loss)
        if self.print_grad_magnitude:
            grads = [p.grad.abs().mean() for p in self.model.parameters() if p.grad is not None]
            magnitude = torch.stack(grads).mean()
            log_vars['src.grad_magnitude'] = magnitude / step.scaled(torch.ones_like(magnitude))
        return log_vars

    def _train_mixed(self, batch: dict, step: OptimizerStep) -> tuple[dict[str, Tensor], Tensor]:
        """L_M and the losses on its logits (L_EB); one forward and one backward pass for all."""
        with step.no_exchange(self.student):
            losses = self.student(**batch)
        loss, log_vars = self._mixed_loss(losses)
        step.backward(loss)
        return log_vars, losses['logits']

    def _train_jointly(self, source: dict, mixed: dict, step: OptimizerStep):
        """All losses of the student, one pass of its encoder and one backward pass."""
        with step.no_exchange(self.student):
            losses = self.student(batches=[source, mixed])
        loss, source_log = self._source_loss(source, losses[0])
        mixed_loss, mixed_log = self._mixed_loss(losses[1])
        step.backward(loss + mixed_loss)
        return source_log, mixed_log, losses[1]['logits']

    def _source_loss(self, batch: dict, losses: dict) -> tuple[Tensor, dict[str, Tensor]]:
        loss, log_vars = parse_losses(losses)
        if self.fdist_lambda > 0:
            distance = self.fdist_lambda * self.feature_distance(
                losses['features'][-1], self._imagenet_feature(batch['img']), batch['gt_semantic_seg'])
            loss = loss + distance
            log_vars['src.loss_imnet_feat_dist'] = distance.detach()
        return loss, log_vars

    def _mixed_loss(self, losses: dict) -> tuple[Tensor, dict[str, Tensor]]:
        loss, log_vars = parse_losses(losses)
        for module in self.mix_losses:
            value = module(losses['logits'], **log_prob_for(module, losses['log_prob']))
            loss = loss + module.loss_weight * value
            log_vars[module.loss_name] = module.loss_weight * value.detach()
            log_vars[f'raw_{module.loss_name}'] = value.detach()
        return loss, add_prefix(log_vars, 'mix')

    @torch.inference_mode()
    def _imagenet_feature(self, img: Tensor) -> Tensor:
        return self.imnet_model.extract_feat(img)[-1]

    def _pseudo_label(self, target_img: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ŷ (B H W), its pixel weights (B H W), and their value q."""
        with torch.inference_mode():
            label, quality = pseudo_label(self.ema_model.encode_decode(target_img), self.pseudo_threshold)
        quality = quality.clone()
        return label, pixel_weight(quality, label.shape, *self.ignore_rows), quality
