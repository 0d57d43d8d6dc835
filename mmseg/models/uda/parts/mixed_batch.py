"""The mixed batch of a step (method.md, steps 6 and 7)."""
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mmseg.core.graphs import Graphs
from mmseg.utils import ConfigError

from ...losses.entropy_balance_loss import pixel_entropy
from ...losses.labelled_pass import Labelled
from ...output import SegOutput
from .class_mix import draw_class_masks, mix
from .pseudo_label import pixel_weight, pseudo_label
from .strong_augment import StrongAugmentation

ENTROPY_PERCENTS = (5, 25, 50, 75, 95)


@dataclass(frozen=True)
class PseudoLabel:
    """
    Args:
        label: ŷ (B H W), int64.
        weight: factor of each pixel (B H W).
        quality: q, 0-dim, 0–1.
    """

    label: Tensor
    weight: Tensor
    quality: Tensor

    @classmethod
    def by(cls, teacher: nn.Module, batch: Mapping[str, Any], threshold: float | None,
           ignore_rows: tuple[int, int], graphs: Graphs) -> PseudoLabel:
        """``of`` the target images of a batch, compiled if ``graphs`` say so."""
        return graphs.of(cls.of, teacher)(teacher, batch['target_img'], threshold, ignore_rows,
                                          batch.get('valid_pseudo_mask'))

    @classmethod
    def of(cls, teacher: nn.Module, img: Tensor, threshold: float | None,
           ignore_rows: tuple[int, int], valid: Tensor | None = None) -> PseudoLabel:
        """The teacher's, of target images (B 3 H W); see ``pseudo_label`` and ``pixel_weight``, which has no
        weight in the first and last ``ignore_rows``, nor where ``valid`` (B 1 H W) is 0.

        Raises:
            ConfigError: both are given.
        """
        if valid is not None and any(ignore_rows):
            raise ConfigError('the target has crop_pseudo_margins, which take the place of '
                              'uda.pseudo_weight_ignore_top and _bottom: set these to 0')
        with torch.inference_mode():
            label, quality = pseudo_label(teacher.encode_decode(img), threshold)
        quality = quality.clone()
        weight = pixel_weight(quality, label.shape, *ignore_rows)
        return cls(label, weight if valid is None else weight * valid.squeeze(1), quality)


@dataclass(frozen=True)
class MixedBatch:
    """
    Args:
        img: x_M, augmented and normalised (B 3 H W).
        label: y_M (B 1 H W), int64.
        weight: factor of each pixel (B H W).
        mask: 1 where the source is pasted (B 1 H W).
    """

    img: Tensor
    label: Tensor
    weight: Tensor
    mask: Tensor

    def labelled(self, regularisers: Iterable[nn.Module]) -> Labelled:
        """What the student is trained with."""
        return Labelled(self.img, self.label, self.weight, regularisers)


def draw_masks(label: Tensor, img_metas: Sequence[dict], per_image: bool, never: int | None) -> Tensor:
    """``draw_class_masks`` of labels (B 1 H W) whose classes the meta data may know ('label_classes')."""
    present = [meta.get('label_classes') for meta in img_metas]
    return draw_class_masks(label, per_image, never, None if None in present else present)


def mix_batch(batch: Mapping[str, Any], pseudo: PseudoLabel, mask: Tensor,
              augment: StrongAugmentation) -> MixedBatch:
    """Source pixels where ``mask`` (B 1 H W) is 1, with weight 1, else those of the target with its
    pseudo-label; then the strong augmentation.

    Args:
        batch: ``img`` x_S and ``target_img`` x_T (B 3 H W), ``gt_semantic_seg`` y_S (B 1 H W), ``img_metas``.
    """
    label = mix(mask, batch['gt_semantic_seg'], pseudo.label.unsqueeze(1))
    weight = mix(mask, torch.ones_like(pseudo.weight).unsqueeze(1), pseudo.weight.unsqueeze(1)).squeeze(1)
    img = augment(mix(mask, batch['img'], batch['target_img']), batch['img_metas'])
    return MixedBatch(img, label, weight, mask)


def entropy_quantiles(output: SegOutput) -> dict[str, Tensor]:
    """Quantiles of the pixels' entropies, in nats, by their names in the log: 0-dim tensors. A level lies at
    the pixel of that rank."""
    entropy = pixel_entropy(output.logits.detach(), output.log_prob.detach()).flatten().sort().values
    return {f'mix.H.q{percent:02d}': entropy[round(percent / 100 * (entropy.numel() - 1))]
            for percent in ENTROPY_PERCENTS}


def visuals_of(step: int, batch: Mapping[str, Any], mixed: MixedBatch, pseudo: PseudoLabel,
               logits: Tensor) -> dict[str, Any]:
    """What a picture of the step shows; ``logits`` (B C H W) are the student's of the mixed images."""
    return dict(step=step, img_metas=batch['img_metas'], source=batch['img'],
                source_label=batch['gt_semantic_seg'], target=batch['target_img'], pseudo_label=pseudo.label,
                mixed=mixed.img, mixed_label=mixed.label, mask=mixed.mask, weight=mixed.weight,
                logits=logits.detach())
