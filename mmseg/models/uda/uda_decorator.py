from __future__ import annotations

import copy
from collections.abc import Callable

from torch import Tensor, nn

from ..builder import build_segmentor


class UDADecorator(nn.Module):
    """A UDA method around a student network: inference is the student's."""

    def __init__(self, model: dict):
        super().__init__()
        self.model = build_segmentor(copy.deepcopy(model))
        self.num_classes = self.model.num_classes
        self.train_cfg, self.test_cfg = self.model.train_cfg, self.model.test_cfg
        self._parallel: list[nn.Module] = []

    def get_model(self) -> nn.Module:
        """The student."""
        return self.model

    @property
    def student(self) -> nn.Module:
        """The student as it is called in training: inside its parallel wrapper, if there is one."""
        return self._parallel[0] if self._parallel else self.model

    def distribute(self, wrap: Callable[[nn.Module], nn.Module]) -> None:
        """Train the student through ``wrap(student)``, e.g. DistributedDataParallel. The wrapper is kept in
        a list, where ``nn.Module`` does not register it: the names of the weights stay as they are."""
        self._parallel = [wrap(self.model)]

    def extract_feat(self, img: Tensor):
        return self.model.extract_feat(img)

    def encode_decode(self, img: Tensor, img_metas=None) -> Tensor:
        """Image (B 3 H W) → the student's logits (B C H W)."""
        return self.model.encode_decode(img, img_metas)

    def forward(self, img, img_metas=None, return_loss: bool = True, **kwargs):
        """``return_loss=True``: one pass of the method (``forward_train``), else the student's class
        maps."""
        if return_loss:
            return self.forward_train(img, img_metas, **kwargs)
        return self.model(img, img_metas, return_loss=False, **kwargs)

    def forward_train(self, img, img_metas, **kwargs):
        raise NotImplementedError

    def inference(self, img: Tensor, img_meta, rescale: bool = True) -> Tensor:
        return self.model.inference(img, img_meta, rescale)

    def simple_test(self, img: Tensor, img_meta, rescale: bool = True) -> list:
        return self.model.simple_test(img, img_meta, rescale)

    def show_result(self, img, result, **settings):
        return self.model.show_result(img, result, **settings)

    def aug_test(self, imgs, img_metas, rescale: bool = True) -> list:
        return self.model.aug_test(imgs, img_metas, rescale)
