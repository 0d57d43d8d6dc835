"""MGCDA: from day to night by way of the light in between (Sakaridis et al., TPAMI 2020; sakaridis/MGCDA
df3bb3b). The numbers are the steps of docs/methods/mgcda.md; what each is:

    1  stylised source         data.train.source.translated, of tools/translate.py
    2  labels of the lit       tools/make_pseudo_labels.py --rule threshold --threshold 0
    3  alignment               aligned: motion_from_matches and warp_by_depth, or BilateralFilter
    4  fusion                  refined: guided_fusion, of tools/make_pseudo_labels.py --rule mgcda
    5  training                MGCDA

A stage of the curriculum is a training on 1 and on labelled images of the target: first those in good light,
with 2, then darker ones, with 3 and 4.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmseg.core.method import Pass, Terms
from mmseg.utils import DataError
from mmseg.utils.ranges import check_range

from ..builder import UDA
from ..losses.supervision import supervise
from .advent import source_images
from .parts.camera_motion import calibration_matrix, motion_from_matches
from .parts.cross_bilateral import BilateralFilter, lab_reference
from .parts.depth_warp import warp_by_depth
from .parts.guided_fusion import DYNAMIC_CLASSES, guided_fusion
from .uda_decorator import UDADecorator

SKY, SKY_DISTANCE = 10, 540.0  # train id; metres, in the place of a depth that no network knows


@dataclass(frozen=True)
class Correspondence:
    """What is known of how two pictures of a place lie to each other.

    Args:
        depth: of the lit one (H W), metres.
        lit, dark: the same points in both (N 2), x and y in pixels.
    """

    depth: np.ndarray
    lit: np.ndarray
    dark: np.ndarray


def aligned(lit: Tensor, image: Tensor, found: Correspondence | None = None,
            sky: int | None = SKY) -> Tensor:
    """The prediction for the lit picture as the dark one's camera would see it: moved by depth where the
    motion of the camera is found, smoothed along the dark image's edges otherwise.

    Args:
        lit: probabilities (1 C H W).
        image: the dark image, RGB in [0, 1] (1 3 H W).
        sky: the class whose pixels are ``SKY_DISTANCE`` away; None where there is none.

    Returns:
        (1 C H W).
    """
    if found is not None:
        cameras = (calibration_matrix(*lit.shape[-2:]),) * 2
        far = (lit.argmax(dim=1)[0] == (-1 if sky is None else sky)).cpu().numpy()
        depth = np.where(far, SKY_DISTANCE, found.depth)
        motion = motion_from_matches(found.lit, found.dark, depth, cameras, far)
        if motion is not None:
            return warp_by_depth(lit, torch.from_numpy(depth).to(lit.device), motion, cameras)
    return BilateralFilter()(lit, lab_reference(image))                                              # 3


def refined(dark: Tensor, lit: Tensor, image: Tensor, found: Correspondence | None = None,
            dynamic: Sequence[int] = DYNAMIC_CLASSES, sky: int | None = SKY) -> Tensor:
    """Probabilities (1 C H W) of a dark image, corrected by those of the lit picture of the same place; their
    argmax is the label. Arguments as of ``aligned`` and ``guided_fusion``.

    Raises:
        DataError: the pictures differ in size.
    """
    if dark.shape != lit.shape:
        (height, width), (other_height, other_width) = dark.shape[-2:], lit.shape[-2:]
        raise DataError(f'the image is {width}x{height} but the picture of its place in good light is '
                        f'{other_width}x{other_height}, expected one size')
    return guided_fusion(dark, aligned(lit, image, found, sky), dynamic)                             # 4


@UDA.register_module()
class MGCDA(UDADecorator):
    """A stage of the curriculum: labels of the stylised source, and pseudo-labels of the target.

    Args:
        model: config of the network; ``load_from`` is that of the stage before.
        max_iters: length of the training, in steps, of a source and a target image each.
        target_weight: of the target's loss.
    """

    def __init__(self, model: dict, max_iters: int, target_weight: float = 1.0):
        super().__init__(model)
        check_range(target_weight, 'uda.target_weight', 0)
        self.max_iters, self.target_weight = max_iters, target_weight

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """The source, then the target.

        Args:
            batch: normalised images ``img`` and ``target_img`` (B 3 H W), their labels ``gt_semantic_seg``
                and ``target_pseudo_semantic_seg`` (B 1 H W), int64.

        Raises:
            DataError: the target has no labels.
        """
        if 'target_pseudo_semantic_seg' not in batch:
            raise DataError('uda MGCDA: the target has no labels: make them with tools/make_pseudo_labels.py '
                            'and set data.train.target.pseudo_labels')
        return [Pass(lambda: source_images(self.network('student'), batch)[1], ('student',)),        # 1, 5
                Pass(lambda: self._target(batch), ('student',))]                                     # 2, 5

    def _target(self, batch: Mapping[str, Any]) -> Terms:
        [output] = self.network('student')(batch['target_img'])
        terms = supervise(output, batch['target_pseudo_semantic_seg'])
        return terms.scaled(self.target_weight).prefixed('trg')
