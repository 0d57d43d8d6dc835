from __future__ import annotations

from torch import nn

from mmseg.utils import UserError
from mmseg.utils.ranges import check_ranges

from ...builder import build_segmentor
from ..uda_decorator import UDADecorator
from .ema_teacher import teacher_mode


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
    """

    def __init__(self, model: dict, imagenet: bool):
        super().__init__(model)
        self.ema_model = build_segmentor(model).requires_grad_(False)
        self.imnet_model = build_segmentor(model).requires_grad_(False) if imagenet else None

    def networks(self) -> dict[str, nn.Module]:
        frozen = {} if self.imnet_model is None else {'imagenet': self.imnet_model}
        return {'student': self.model, 'teacher': self.ema_model, **frozen}

    def init_weights(self) -> None:
        """Load the pretrained encoder into all of them."""
        self.model.init_weights()
        self.ema_model.init_weights()
        if self.imnet_model is not None:
            if not getattr(self.model.backbone, 'pretrained', None):
                raise UserError('the feature distance compares with a pretrained encoder: set '
                                'model.pretrained, or uda.imnet_feature_dist_lambda=0')
            self.imnet_model.init_weights()

    def train(self, mode: bool = True) -> TeacherStudent:
        super().train(mode)
        if mode:
            teacher_mode(self.ema_model)
        if self.imnet_model is not None:
            self.imnet_model.eval()
        return self

    def get_ema_model(self) -> nn.Module:
        return self.ema_model

    def get_imnet_model(self) -> nn.Module | None:
        return self.imnet_model
