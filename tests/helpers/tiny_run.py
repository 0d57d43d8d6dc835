"""A folder like that of a UDA run, with a small network and three street images, made in a second."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv import Config
from torch import nn

from mmseg.checkpoint.weights import save_checkpoint
from mmseg.core.evaluation import get_classes, get_palette
from mmseg.models import build_segmentor

SIZE_HW = (64, 128)
NAMES = ('aachen/aachen_000000', 'aachen/aachen_000001', 'bonn/bonn_000000')
NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
MODEL = dict(
    type='EncoderDecoder', pretrained='pretrained/not_there.pth',
    backbone=dict(type='mit_b0', embed_dims=(4, 8, 20, 16), depths=(1, 1, 1, 1)),
    decode_head=dict(
        type='DAFormerHead', in_channels=[4, 8, 20, 16], in_index=[0, 1, 2, 3], channels=16,
        dropout_ratio=0.1, num_classes=19, norm_cfg=dict(type='BN', requires_grad=True),
        align_corners=False, loss_decode=dict(type='CrossEntropyLoss', loss_weight=1.0),
        decoder_params=dict(embed_dims=16, embed_cfg=dict(type='mlp', act_cfg=None, norm_cfg=None),
                            embed_neck_cfg=dict(type='mlp', act_cfg=None, norm_cfg=None),
                            fusion_cfg=dict(type='conv', kernel_size=1, act_cfg=dict(type='ReLU'),
                                            norm_cfg=dict(type='BN', requires_grad=True)))),
    train_cfg={}, test_cfg=dict(mode='whole'))


def write_images(root: Path) -> None:
    """Images and labels in Cityscapes' layout, a val and a test split of the same images."""
    rng = np.random.RandomState(0)
    for name in NAMES:
        img = rng.randint(0, 256, (*SIZE_HW, 3), dtype=np.uint8)
        label = np.kron(rng.randint(0, 19, (8, 16)), np.ones((8, 8), int)).astype(np.uint8)
        label[:4] = 255
        for split in ('val', 'test'):
            files = {f'leftImg8bit/{split}/{name}_leftImg8bit.png': img,
                     f'gtFine/{split}/{name}_gtFine_labelTrainIds.png': label}
            if split == 'test':
                files.popitem()
            for file, content in files.items():
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(root / file), content)


def config(root: Path) -> Config:
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='MultiScaleFlipAug', img_scale=SIZE_HW[::-1], flip=False, transforms=[
            dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'),
            dict(type='Normalize', **NORM), dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img'])])]
    test = dict(type='CityscapesDataset', data_root=str(root), img_dir='leftImg8bit/val',
                ann_dir='gtFine/val', pipeline=pipeline)
    return Config(dict(model=MODEL, crop_size=(64, 64), uda=dict(type='DACS', alpha=0.99),
                       data=dict(workers_per_gpu=0, test=test)))


class Student(nn.Module):
    """Names weights as a UDA method does; the teacher differs from the student."""

    def __init__(self, cfg: Config):
        super().__init__()
        torch.manual_seed(0)
        self.model, self.ema_model = (build_segmentor({**cfg.model, 'pretrained': None})
                                      for _ in range(2))


def make_run(folder: Path, with_classes: bool = True) -> Path:
    """Write data, resolved config and checkpoint; returns the run's folder."""
    write_images(folder / 'data')
    run = folder / 'run'
    run.mkdir()
    cfg = config(folder / 'data')
    cfg.dump(str(run / 'run.json'))
    meta = dict(CLASSES=get_classes('cityscapes'), PALETTE=get_palette('cityscapes'))
    save_checkpoint(str(run / 'latest.pth'), Student(cfg), meta=meta if with_classes else {})
    return run
