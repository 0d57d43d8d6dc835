from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Method
from mmseg.utils import DataError

from ..builder import build_segmentor

# what a batch may lack, and where it comes from
ORIGIN = {
    'gt_semantic_seg': 'labels of the source: its pipeline is to load and collect gt_semantic_seg',
    'target_img': "images of a target: data.train is to be dict(type='UDADataset', source=…, target=…)"}


class UDADecorator(Method):
    """A UDA method around a student network: inference is the student's.

    ``needs`` are the entries of a batch that it cannot do without.
    """

    needs: tuple[str, ...] = ('gt_semantic_seg', 'target_img')

    def __init__(self, model: dict):
        super().__init__()
        self.model = build_segmentor(copy.deepcopy(model))
        self.num_classes = self.model.num_classes
        self.train_cfg, self.test_cfg = self.model.train_cfg, self.model.test_cfg
        self.local_iter = 0  # steps made

    def init_weights(self) -> None:
        """Load the pretrained encoder into the student."""
        self.model.init_weights()

    def get_model(self) -> nn.Module:
        """The student."""
        return self.model

    def networks(self) -> dict[str, nn.Module]:
        return {'student': self.model}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'optimizer': ('student',)}

    def train_step(self, data_batch: Mapping[str, Any], optimizer: Any, **kwargs: Any) -> dict[str, Any]:
        """As of ``Method``.

        Raises:
            DataError: the batch lacks what the method learns from.
        """
        for key in self.needs:
            if key not in data_batch:
                raise DataError(f'uda {type(self).__name__}: no {ORIGIN[key]}')
        return super().train_step(data_batch, optimizer, **kwargs)

    def end_step(self) -> None:
        self.local_iter += 1

    def training_state(self) -> dict[str, Any]:
        return {'local_iter': self.local_iter}

    def load_training_state(self, state: dict[str, Any]) -> None:
        self.local_iter = int(state['local_iter'])

    def extract_feat(self, img: Tensor):
        return self.model.extract_feat(img)

    def encode_decode(self, img: Tensor, img_metas=None) -> Tensor:
        """Image (B 3 H W) → the student's logits (B C H W)."""
        return self.model.encode_decode(img, img_metas)

    def forward(self, *args, **kwargs):
        """As the student's: a method trains by its passes."""
        return self.model(*args, **kwargs)

    def inference(self, img: Tensor, img_meta, rescale: bool = True) -> Tensor:
        return self.model.inference(img, img_meta, rescale)

    def simple_test(self, img: Tensor, img_meta, rescale: bool = True) -> list:
        return self.model.simple_test(img, img_meta, rescale)

    def show_result(self, img, result, **settings):
        return self.model.show_result(img, result, **settings)

    def aug_test(self, imgs, img_metas, rescale: bool = True) -> list:
        return self.model.aug_test(imgs, img_metas, rescale)
