"""The released order of passes of a training step, for comparison with ours.

The same mathematics as ``DACS.train_step`` (tests/unit/test_released_schedule.py holds both to the same
gradients), computed the way the released implementation of the method orders it:

- source forward and backward, then a second backward through the encoder for the feature distance;
- mixed forward and backward, then a second forward and backward of the mixed images for the entropy;
- masked images (MIC) in a pass of their own;
- context and details (HRDA) in calls of their own of the encoder; the teacher's windows are one batch, as
  they are in the release;
- attention as two matrix products around a softmax, feature maps copied to B C H W between the stages;
- every branch computed, multiplied by 0 where stochastic depth leaves it out;
- the teacher's average parameter by parameter, an optimizer group for each parameter;
- every log value read by the host as soon as it exists.

Nothing is done that the released code does not do, so it is not slower than that.
"""
from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.runner import build_optimizer
from torch import Tensor, nn

from mmseg.core.method import Terms
from mmseg.models.backbones.mix_transformer import EfficientAttention, MixVisionTransformer
from mmseg.models.losses.supervision import supervise
from mmseg.models.segmentors import HRDAEncoderDecoder
from mmseg.models.uda.dacs import DACS
from mmseg.models.uda.parts.class_mix import draw_class_masks, mix
from mmseg.models.uda.parts.mixed_batch import PseudoLabel
from mmseg.models.uda.parts.pseudo_label import pixel_weight, pseudo_label
from mmseg.models.uda.parts.strong_augment import StrongAugmentation
from mmseg.models.utils.mlp import MLP


def _plain_attention(self: EfficientAttention, x: Tensor, height: int, width: int) -> Tensor:
    batch, tokens, dim = x.shape
    head_dim = dim // self.num_heads
    q = self.q(x).reshape(batch, tokens, self.num_heads, head_dim).permute(0, 2, 1, 3)
    context = x
    if self.sr_ratio > 1:
        image = x.permute(0, 2, 1).reshape(batch, dim, height, width)
        context = self.norm(self.sr(image).reshape(batch, dim, -1).permute(0, 2, 1))
    k, v = self.kv(context).reshape(batch, -1, 2, self.num_heads, head_dim).permute(2, 0, 3, 1, 4)
    attention = self.attn_drop(((q @ k.transpose(-2, -1)) * head_dim ** -0.5).softmax(dim=-1))
    out = (attention @ v).transpose(1, 2).reshape(batch, tokens, dim)
    return self.proj_drop(self.proj(out))


def _copied_stage(self: MixVisionTransformer, i: int, x_BCHW: Tensor) -> Tensor:
    x, height, width = getattr(self, f'patch_embed{i + 1}')(x_BCHW)
    for block in getattr(self, f'block{i + 1}'):
        x = block(x, height, width)
    x = getattr(self, f'norm{i + 1}')(x)
    return x.reshape(len(x), height, width, -1).permute(0, 3, 1, 2).contiguous()


def _copied_embedding(self: MLP, x: Tensor) -> Tensor:
    tokens = self.proj(x.flatten(2).transpose(1, 2))
    return tokens.permute(0, 2, 1).contiguous().reshape(len(x), -1, *x.shape[2:])


def _separate_batches(self: HRDAEncoderDecoder, images: Sequence[Tensor]) -> list[list[Tensor]]:
    return [list(self.extract_feat(img)) for img in images]


PLAIN = {EfficientAttention: ('forward', _plain_attention), MLP: ('forward', _copied_embedding),
         MixVisionTransformer: ('_run_stage', _copied_stage),
         HRDAEncoderDecoder: ('encode', _separate_batches)}


def make_plain(model: nn.Module) -> nn.Module:
    """Let the networks inside ``model`` compute as the released ones, in place; weights and names stay."""
    for module in model.modules():
        for kind, (name, function) in PLAIN.items():
            if isinstance(module, kind):
                setattr(module, name, types.MethodType(function, module))
    return model


class ReleasedSchedule:
    """One step of the released order on a ``DACS`` model whose networks went through ``make_plain``.

    Args:
        model: DACS, DAFormer, EBDA (the entropy balance is all of its ``mix_losses``) or MIC with the host's
            teacher and loss weight 1, on a network of one scale or an HRDA network.
        optimizer: config, e.g. of AdamW with ``paramwise_cfg``; mmcv makes a group of each parameter.
    """

    def __init__(self, model: DACS, optimizer: dict):
        self.method, self.optimizer = make_plain(model), build_optimizer(model, dict(optimizer))

    def train_step(self, data_batch: dict[str, Any]) -> dict[str, float]:
        """Update the parameters; the log values, on the host."""
        self.optimizer.zero_grad()
        log_vars = self.losses_and_gradients(**data_batch)
        self.optimizer.step()
        return log_vars

    @staticmethod
    def backward(loss: Tensor, retain_graph: bool = False) -> None:
        loss.backward(retain_graph=retain_graph)

    def losses_and_gradients(self, img: Tensor, img_metas, gt_semantic_seg: Tensor, target_img: Tensor,
                             target_img_metas) -> dict[str, float]:
        method = self.method
        self._update_teacher()
        augment = StrongAugmentation.draw(**method.augmentation)
        log_vars = self._source(img, img_metas, gt_semantic_seg)
        with torch.no_grad():
            label, quality = pseudo_label(method.ema_model.encode_decode(target_img),
                                          method.pseudo_threshold)
        log_vars['l.pseudo_weight'] = quality.item()
        weight = pixel_weight(quality, label.shape, *method.ignore_rows)
        mask = draw_class_masks(gt_semantic_seg, method.mix_per_image, None)
        mixed = augment(mix(mask, img, target_img), img_metas)
        mixed_label = mix(mask, gt_semantic_seg, label.unsqueeze(1))
        mixed_weight = mix(mask, torch.ones_like(weight).unsqueeze(1), weight.unsqueeze(1)).squeeze(1)
        log_vars.update(self._supervised(mixed, mixed_label, mixed_weight, 'mix.'))
        if method.mix_losses:
            log_vars['mix.entropy'] = self._balance(mixed)
        if method.mic is not None:
            batch = dict(img=img, img_metas=img_metas, gt_semantic_seg=gt_semantic_seg, target_img=target_img)
            masked = method.mic.batch(batch, lambda: PseudoLabel(label, weight, quality))
            log_vars.update(self._supervised(masked.img, masked.label, masked.weight, 'masked.'))
        method.local_iter += 1
        return log_vars

    def _source(self, img: Tensor, img_metas, label: Tensor) -> dict[str, float]:
        [output] = self.method.model(img)
        terms = supervise(output, label)
        log_vars = self._read(terms)
        self.backward(terms.total(), retain_graph=bool(self.method.source_losses))
        for module in self.method.source_losses:
            distance = module.loss_weight * module.of(output, dict(label=label, imagenet=self._imagenet))
            log_vars['src.loss_imnet_feat_dist'] = distance.item()
            self.backward(distance)
        return log_vars

    @torch.no_grad()
    def _imagenet(self, img: Tensor) -> Tensor:
        return self.method.imnet_model.extract_feat(img)[-1]

    def _supervised(self, img: Tensor, label: Tensor, weight: Tensor | None, prefix: str) -> dict[str, float]:
        [output] = self.method.model(img)
        terms = supervise(output, label, weight)
        log_vars = self._read(terms, prefix)
        self.backward(terms.total())
        return log_vars

    def _balance(self, mixed: Tensor) -> float:
        """The entropy balance on logits of a pass of its own."""
        module = self.method.mix_losses[0]
        logits = self.method.model.encode_decode(mixed)
        entropy = -(F.softmax(logits, dim=1) * F.log_softmax(logits, dim=1)).sum(dim=1)
        loss = module.loss_weight * ((entropy - module.target) ** 2).mean()
        self.backward(loss)
        return loss.item()

    @torch.no_grad()
    def _update_teacher(self) -> None:
        alpha = min(1 - 1 / (self.method.local_iter + 1), self.method.alpha)
        for teacher, student in zip(self.method.ema_model.parameters(), self.method.model.parameters()):
            teacher.data[:] = alpha * teacher.data[:] + (1 - alpha) * student.data[:]

    @staticmethod
    def _read(terms: Terms, prefix: str = '') -> dict[str, float]:
        return {prefix + name: value.mean().item() for name, value in terms.logged().items()}
