"""Tiny trees in the layouts of the downloads, for tests of converters and data sets."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from data_trees import LABEL_IDS, blocky_label, random_image, save

RAIN = ('alpha_0.01_beta_0.005_dropsize_0.01', 'alpha_0.02_beta_0.01_dropsize_0.005')
SYNTHIA_IDS = (3, 4, 2, 21, 5, 7, 15, 9, 6, 16, 1, 10, 17, 8, 18, 19, 20, 12, 11)  # by train id


def gta(root: Path, count: int = 4) -> Path:
    rng = np.random.default_rng(2)
    for number in range(1, count + 1):
        save(root / f'images/{number:05d}.png', random_image(rng))
        save(root / f'labels/{number:05d}.png', np.array(LABEL_IDS, np.uint8)[blocky_label(rng)])
    return root


def synthia(root: Path, count: int = 3) -> Path:
    rng = np.random.default_rng(3)
    (root / 'GT/LABELS').mkdir(parents=True)
    for number in range(count):
        save(root / f'RGB/{number:07d}.png', random_image(rng))
        label = np.array(SYNTHIA_IDS, np.uint16)[blocky_label(rng)]
        instances = rng.integers(0, 1000, label.shape).astype(np.uint16)
        cv2.imwrite(str(root / f'GT/LABELS/{number:07d}.png'), np.dstack([instances, instances * 0, label]))
    return root


def weather(root: Path, kind: str, middle: str = '_leftImg8bit') -> Path:
    """Foggy or Rain Cityscapes: two scenes in train, one in val; beside the clear images and labels."""
    rng = np.random.default_rng(4)
    variants = ([f'foggy_beta_{beta}' for beta in ('0.005', '0.01', '0.02')] if kind == 'foggy' else
                [f'rain_{strength}_pattern_{pattern}' for strength in RAIN for pattern in (1, 2)])
    for split, count in (('train', 2), ('val', 1)):
        for number in range(count):
            scene = f'{split}/town/town_{number:06d}_000019'
            for variant in variants:
                save(root / f'leftImg8bit_{kind}/{scene}{middle}_{variant}.png', random_image(rng))
            ids = root / f'gtFine/{scene}_gtFine_labelIds.png'
            if not ids.exists():
                save(ids, np.array(LABEL_IDS, np.uint8)[blocky_label(rng)])
                save(root / f'leftImg8bit/{scene}_leftImg8bit.png', random_image(rng))
    return root
