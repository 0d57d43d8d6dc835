"""Tiny data sets on disk for tests: random pictures, blocky labels."""
from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

NORM = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True)
LABEL_IDS = [7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33]
CONDITIONS = ('fog', 'night', 'rain', 'snow')


def save(path: Path, array: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return path


def random_image(rng: np.random.Generator, height: int = 32, width: int = 64) -> np.ndarray:
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def blocky_label(rng: np.random.Generator, height: int = 32, width: int = 64,
                 classes: int = 19) -> np.ndarray:
    cells = rng.integers(0, classes, (height // 8, width // 8)).astype(np.uint8)
    return np.kron(cells, np.ones((8, 8), np.uint8))


def cityscapes(root: Path, train: int = 3, val: int = 2, converted: bool = True) -> Path:
    """The layout of Cityscapes; with ``converted`` the label maps in train ids are there too."""
    rng = np.random.default_rng(0)
    for split, count in (('train', train), ('val', val)):
        for number in range(count):
            name = f'{split}/town/town_{number:06d}_000019'
            save(root / 'leftImg8bit' / f'{name}_leftImg8bit.png', random_image(rng))
            label = blocky_label(rng)
            save(root / 'gtFine' / f'{name}_gtFine_labelIds.png', np.array(LABEL_IDS, np.uint8)[label])
            if converted:
                save(root / 'gtFine' / f'{name}_gtFine_labelTrainIds.png', label)
    return root


def acdc(root: Path, official: bool = True, labels: bool = True) -> Path:
    """ACDC: one image per condition in train and val, and in test without a label."""
    rng = np.random.default_rng(1)
    for split in ('train', 'val', 'test'):
        for condition in CONDITIONS:
            name = f'GP_{condition}_frame_000001'
            folder = f'{condition}/{split}/GP_{condition}' if official else split
            save(root / 'rgb_anon' / folder / f'{name}_rgb_anon.png', random_image(rng))
            if labels and split != 'test':
                save(root / 'gt' / folder / f'{name}_gt_labelTrainIds.png', blocky_label(rng))
        if official:  # the reference images, which belong to no split
            save(root / 'rgb_anon' / 'fog' / f'{split}_ref' / 'GP' / 'GP_frame_000009_rgb_ref_anon.png',
                 random_image(rng))
    return root


def train_pipeline(crop: tuple[int, int] = (16, 16), labels: bool = True) -> list[dict]:
    return [
        dict(type='LoadImageFromFile'),
        *([dict(type='LoadAnnotations')] if labels else []),
        dict(type='RandomCrop', crop_size=crop),
        dict(type='RandomFlip', prob=0.5),
        dict(type='Normalize', **NORM),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=['img', 'gt_semantic_seg'] if labels else ['img']),
    ]


def test_pipeline(scale: tuple[int, int] = (64, 32)) -> list[dict]:
    return [dict(type='LoadImageFromFile'),
            dict(type='MultiScaleFlipAug', img_scale=scale, flip=False,
                 transforms=[dict(type='Resize', keep_ratio=True), dict(type='RandomFlip'),
                             dict(type='Normalize', **NORM), dict(type='ImageToTensor', keys=['img']),
                             dict(type='Collect', keys=['img'])])]


test_pipeline.__test__ = False


def cityscapes_cfg(root: Path, split: str = 'train', **kwargs) -> dict:
    return dict(type='CityscapesDataset', data_root=str(root), img_dir=f'leftImg8bit/{split}',
                ann_dir=f'gtFine/{split}', pipeline=train_pipeline(), **kwargs)


def acdc_cfg(root: Path, split: str = 'train', **kwargs) -> dict:
    return {**dict(type='ACDCDataset', data_root=str(root), img_dir=f'rgb_anon/{split}',
                   ann_dir=f'gt/{split}', pipeline=train_pipeline()), **kwargs}
