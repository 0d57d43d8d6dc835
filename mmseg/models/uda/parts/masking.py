"""Masked image consistency: predict what the student sees of an image through holes (Hoyer et al., MIC, CVPR
2023)."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.core.graphs import AS_WRITTEN
from mmseg.core.method import Terms
from mmseg.utils import ConfigError, build_from_cfg
from mmseg.utils.errors import did_you_mean
from mmseg.utils.ranges import check_range

from ...builder import UDA, build_segmentor
from ...losses.labelled_pass import Labelled
from .ema_teacher import teacher_mode, update_teacher
from .mixed_batch import PseudoLabel
from .strong_augment import StrongAugmentation

MODES = tuple(f'{images}{augmented}' for images in ('separate', 'separatesrc', 'separatetrg')
              for augmented in ('', 'aug'))
Same = Literal['same']
HOST = ('alpha', 'pseudo_threshold', 'ignore_rows', 'augmentation')


def block_mask(shape: Sequence[int], ratio: float, block_size: int) -> Tensor:
    """Random squares: K (B 1 H W), float32, 0 where an image is hidden. Drawn by torch on the host, so that a
    seed gives the same masks on every device.

    Args:
        shape: B, any, H, W of the images.
        ratio: r, 0–1: the probability of a square to be hidden.
        block_size: b, its side in pixels; squares are stretched where b does not divide a side.
    """
    images, _, height, width = shape
    grid = [max(round(side / block_size), 1) for side in (height, width)]
    kept = torch.rand(images, 1, *grid, dtype=torch.float32) > ratio
    return F.interpolate(kept.float(), size=(height, width), mode='nearest')


def mask_images(images: Tensor, ratio: float, block_size: int) -> Tensor:
    """Normalised images (B C H W) with 0, the mean colour, in the hidden squares of ``block_mask``."""
    return images * block_mask(images.shape, ratio, block_size).to(images, non_blocking=True)


class OwnTeacher(nn.Module):
    """A second EMA teacher, by the name that its weights have in the reference's checkpoints."""

    def __init__(self, model: dict):
        super().__init__()
        self.ema_model = build_segmentor(model).requires_grad_(False)

    def train(self, mode: bool = True) -> OwnTeacher:
        super().train(mode)
        if mode:
            teacher_mode(self.ema_model)
        return self


class MaskedConsistency(nn.Module):
    """The masked pass of a step: its images, their labels, its weight.

    Args:
        model: config of the network, of which a teacher of its own is made.
        host: settings of the method that this is a part of: ``alpha``, ``pseudo_threshold``,
            ``ignore_rows``, ``augmentation``.
        mode: which images: 'separatetrg' those of the target with pseudo-labels, 'separatesrc' those of the
            source, 'separate' the first half of each. With the suffix 'aug' they are augmented first.
        loss_weight: λ_M.
        mask_ratio: r, see ``block_mask``.
        block_size: b, pixels; 64 at full resolution, 32 at half.
        alpha, pseudo_threshold: 'same' takes the host's pseudo-labels. A number of one of them, or no
            threshold (None, weight 1), makes a second teacher; α = 0 is the student before the step.
        blur: lets the augmentation blur. Whether it does is drawn anyhow, also if the host's blur is off.
        weigh_all: λ_M multiplies all losses of the pass; False, as in the release, that of the prediction
            alone, not those of further outputs (HRDA's detail and context, auxiliary heads).

    Raises:
        ConfigError: an unknown mode, or a number that is out of its range.
    """

    def __init__(self, model: dict, host: Mapping[str, Any], mode: str = 'separatetrgaug',
                 loss_weight: float = 1.0, mask_ratio: float = 0.7, block_size: int = 64,
                 alpha: float | Same = 'same', pseudo_threshold: float | Same | None = 'same',
                 blur: bool = True, weigh_all: bool = True):
        super().__init__()
        if mode not in MODES:
            raise ConfigError(f"uda.masked.mode is '{mode}': {did_you_mean(mode, MODES)}")
        check_range(loss_weight, 'uda.masked.loss_weight', 0)
        check_range(mask_ratio, 'uda.masked.mask_ratio', 0, 1)
        check_range(block_size, 'uda.masked.block_size', 1)
        self.loss_weight, self.weigh_all = loss_weight, weigh_all
        self.mask = dict(ratio=mask_ratio, block_size=block_size)
        self.images, self.augments = mode.removesuffix('aug'), mode.endswith('aug')
        self.augmentation, self.blur = dict(host['augmentation'], blur=True), blur
        self.ignore_rows, self.graphs = host['ignore_rows'], AS_WRITTEN
        self.alpha, self.threshold = (
            host[name] if value == 'same' else value
            for name, value in (('alpha', alpha), ('pseudo_threshold', pseudo_threshold)))
        check_range(self.alpha, 'uda.masked.alpha', 0, 1)
        if self.threshold is not None:
            check_range(self.threshold, 'uda.masked.pseudo_threshold', 0, 1)
        shared = alpha == 'same' and pseudo_threshold == 'same'
        self.teacher = None if shared else OwnTeacher(model)

    def networks(self) -> dict[str, nn.Module]:
        """Its own teacher, if there is one."""
        return {} if self.teacher is None else {'masked_teacher': self.teacher.ema_model}

    def begin_step(self, student: nn.Module, step: int) -> None:
        """Its own teacher, if there is one, follows the student."""
        if self.teacher is not None:
            update_teacher(self.teacher.ema_model, student, step, self.alpha)

    def batch(self, batch: Mapping[str, Any], pseudo: Callable[[], PseudoLabel] | None = None) -> Labelled:
        """Masked images, and what all their pixels are compared with, seen or not.

        Args:
            batch: as of ``DACS.passes``.
            pseudo: gives the host's ŷ and its weight, where it has a teacher.
        """
        source = Labelled(batch['img'], batch['gt_semantic_seg'])
        if self.images == 'separatesrc':
            chosen = source
        else:
            found = pseudo() if self.teacher is None else self._own(batch)
            chosen = Labelled(batch['target_img'], found.label.unsqueeze(1).clone(), found.weight)
            if self.images == 'separate':
                chosen = _halves(source, chosen)
        img = self._augmented(chosen.img, batch['img_metas']) if self.augments else chosen.img
        return Labelled(mask_images(img, **self.mask), chosen.label, chosen.weight)

    def _own(self, batch: Mapping[str, Any]) -> PseudoLabel:
        return PseudoLabel.by(self.teacher.ema_model, batch, self.threshold, self.ignore_rows, self.graphs)

    def _augmented(self, img: Tensor, img_metas: Sequence[dict]) -> Tensor:
        drawn = StrongAugmentation.draw(**self.augmentation, graphs=self.graphs)
        return (drawn if self.blur else replace(drawn, blur=0.0))(img, img_metas, together=True)

    def weighted(self, terms: Terms) -> Terms:
        """The terms of the pass, named 'decode.…', with λ_M and the prefix 'masked'."""
        losses = {name: value * self.loss_weight if self.weigh_all or name == 'decode.loss_seg' else value
                  for name, value in terms.losses.items()}
        return Terms(losses, terms.metrics).prefixed('masked')


def _halves(source: Labelled, target: Labelled) -> Labelled:
    """The first half of the images of each (of an odd number, the larger half); sources have weight 1."""
    half = (len(target.img) + 1) // 2
    weight = target.weight[:half]
    return Labelled(*(torch.cat([one[:half], other[:half]]) for one, other in (
        (source.img, target.img), (source.label, target.label), (torch.ones_like(weight), weight))))


def build_masked(settings: dict, model: dict, host: Any) -> MaskedConsistency:
    """From a method's ``masked`` and its attributes.

    Raises:
        ConfigError: a key or value that ``MaskedConsistency`` does not take; or the target is to be masked,
            and the method has no teacher to label it.
    """
    shared = {name: getattr(host, name) for name in HOST}
    built = build_from_cfg(dict(settings, type=MaskedConsistency, model=model, host=shared), UDA)
    built.graphs = host.graphs  # the host's own, where settings are copies
    if host.ema_model is None and built.images != 'separatesrc':
        raise ConfigError("uda.source_only needs uda.masked.mode 'separatesrc' or 'separatesrcaug'")
    return built
