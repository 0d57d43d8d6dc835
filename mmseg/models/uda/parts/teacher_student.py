from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmseg.core.method import Terms
from mmseg.utils import UserError
from mmseg.utils.ranges import check_ranges

from ...builder import build_segmentor
from ...losses.labelled_pass import Labelled, labelled_pass
from ...output import SegOutput
from ..uda_decorator import UDADecorator
from .ema_teacher import teacher_mode, update_teacher
from .masking import MaskedConsistency


def check_self_training(alpha: float, pseudo_threshold: float, ignore_top: int, ignore_bottom: int,
                        feature_distance: float) -> None:
    """
    Raises:
        ConfigError: a setting of the method that is out of its range.
    """
    check_ranges('uda.', (0, 1), alpha=alpha, pseudo_threshold=pseudo_threshold)
    check_ranges('uda.', pseudo_weight_ignore_top=ignore_top, pseudo_weight_ignore_bottom=ignore_bottom,
                 imnet_feature_dist_lambda=feature_distance)


class TeacherStudent(UDADecorator):
    """The networks of self-training: the student, its teacher, and the frozen encoder of ImageNet.

    Args:
        model: config of the network; all three are built from it.
        imagenet: whether there is the third.
        teacher: whether there is the second.
    """

    teacher_after_step = False  # whether the teacher follows here, after a step

    def __init__(self, model: dict, imagenet: bool, teacher: bool = True):
        super().__init__(model)
        self.ema_model = build_segmentor(model).requires_grad_(False) if teacher else None
        self.imnet_model = build_segmentor(model).requires_grad_(False) if imagenet else None
        self.mic: MaskedConsistency | None = None  # a method's masked pass, which may have its own teacher
        self.mix_losses = nn.ModuleList()
        if not teacher:
            self.needs = ('gt_semantic_seg',)

    def networks(self) -> dict[str, nn.Module]:
        all_of_them = {'student': self.model, 'teacher': self.ema_model, 'imagenet': self.imnet_model,
                       **({} if self.mic is None else self.mic.networks())}
        return {name: network for name, network in all_of_them.items() if network is not None}

    def training_state(self) -> dict[str, Any]:
        return {**super().training_state(), 'mix_losses': dict(self.mix_losses.named_buffers())}

    def load_training_state(self, state: dict[str, Any]) -> None:
        super().load_training_state(state)
        saved = state.get('mix_losses', {})
        for name, buffer in self.mix_losses.named_buffers():
            if name in saved:  # not in the reference's checkpoints, nor in those of another loss
                buffer.copy_(saved[name])

    def init_weights(self) -> None:
        """Load the pretrained encoder into all of them."""
        self.model.init_weights()
        if self.ema_model is not None:
            self.ema_model.init_weights()
        if self.imnet_model is not None:
            if not getattr(self.model.backbone, 'pretrained', None):
                raise UserError('the feature distance compares with a pretrained encoder: set '
                                'model.pretrained, or uda.imnet_feature_dist_lambda=0')
            self.imnet_model.init_weights()

    def end_step(self) -> None:
        if self.teacher_after_step and self.ema_model is not None:
            update_teacher(self.ema_model, self.model, self.local_iter, self.alpha)
        super().end_step()

    def train(self, mode: bool = True) -> TeacherStudent:
        super().train(mode)
        if mode and self.ema_model is not None:
            teacher_mode(self.ema_model)
        if self.imnet_model is not None:
            self.imnet_model.eval()
        return self

    def student_pass(self, *batches: Labelled) -> list[tuple[Terms, SegOutput]]:
        """``labelled_pass`` of the student, compiled if the config says so."""
        student = self.network('student')
        return self.graphs.of(labelled_pass, student)(student, *batches)

    @torch.inference_mode()
    def imagenet_feature(self, img: Tensor) -> Tensor:
        """F_4^g of images (B 3 H W): the frozen encoder's last feature map (B C h w)."""
        return self.imnet_model.extract_feat(img)[-1]

    def get_ema_model(self) -> nn.Module | None:
        return self.ema_model

    def get_imnet_model(self) -> nn.Module | None:
        return self.imnet_model
