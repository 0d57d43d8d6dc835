"""Small UDA models, their batches and steps."""
from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from golden import image, label
from torch import nn

from mmseg.models.builder import BACKBONES, build_train_model

BN = dict(type='BN', requires_grad=True)
MLP = dict(type='mlp', act_cfg=None, norm_cfg=None)
META = dict(img_norm_cfg=dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True))
THINGS = (6, 7, 11, 12, 13, 14, 15, 16, 17, 18)
BALANCE = dict(type='EntropyBalanceLoss', target=0.4, loss_weight=0.1)


def network(channels: int = 16, fusion: dict | None = None, **head: Any) -> dict:
    """Config of a MiT-B0 with a narrow DAFormer head."""
    fusion = fusion or dict(type='conv', kernel_size=1, act_cfg=dict(type='ReLU'), norm_cfg=BN)
    decoder = dict(embed_dims=channels, embed_cfg=MLP, embed_neck_cfg=MLP, fusion_cfg=fusion)
    settings = dict(dropout_ratio=0, num_classes=19, norm_cfg=BN, align_corners=False, channels=channels)
    return dict(
        type='EncoderDecoder', backbone=dict(type='mit_b0', drop_path_rate=0.0),
        decode_head=dict(type='DAFormerHead', in_channels=[32, 64, 160, 256], in_index=[0, 1, 2, 3],
                         decoder_params=decoder, **{**settings, **head}),
        test_cfg=dict(mode='whole'))


@BACKBONES.register_module()
class TwoConvolutions(nn.Module):
    """Features of 8 and 16 channels; a step takes milliseconds."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)

    def forward(self, img):
        first = self.first(img).tanh()
        return [first, self.second(first).tanh()]


def tiny(auxiliary: bool = False) -> dict:
    head = dict(type='FCNHead', channels=8, num_convs=1, kernel_size=1, concat_input=False, dropout_ratio=0,
                num_classes=19, norm_cfg=None, align_corners=False)
    model = dict(type='EncoderDecoder', backbone=dict(type='TwoConvolutions'),
                 decode_head=dict(head, in_channels=16, in_index=1), test_cfg=dict(mode='whole'))
    return dict(model, auxiliary_head=[dict(head, in_channels=8, in_index=0)]) if auxiliary else model


def uda_model(model: dict | None = None, **uda: Any) -> nn.Module:
    """A DACS model around ``model``; ``uda`` are settings of DACS."""
    settings = dict(alpha=0.999, pseudo_threshold=0.1, blur=False, color_jitter_probability=1.0)
    cfg = dict(model=model or network(), uda=dict(type='DACS', **{**settings, **uda}),
               runner=dict(max_iters=3))
    return build_train_model(cfg)


def batch(seed: int, size: int = 128, images: int = 2, cell: int = 32,
          dtype: torch.dtype = torch.float32) -> dict:
    """The batch of a golden training step."""
    return dict(img=image(seed, images, size, size).to(dtype), img_metas=[META] * images,
                gt_semantic_seg=label(seed + 1, images, size, size, cell=cell),
                target_img=image(seed + 2, images, size, size).to(dtype), target_img_metas=[META] * images)


def seed_all(seed: int) -> None:
    np.random.seed(seed)
    random.seed(seed)
    torch.manual_seed(seed)


def sgd(model: nn.Module, lr: float = 0.05) -> torch.optim.Optimizer:
    """SGD on the student."""
    return torch.optim.SGD(model.get_model().parameters(), lr=lr)


@torch.no_grad()
def losses_of_a_step(method: torch.nn.Module, data: dict) -> dict[str, torch.Tensor]:
    """The log values of a step that makes its forward passes alone."""
    method.begin_step()
    return {name: value for one in method.passes(data) for name, value in one.compute().logged().items()}
