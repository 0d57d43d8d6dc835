"""Cityscapes (Cordts et al. 2016): 19 classes."""
from __future__ import annotations

import numpy as np
from PIL import Image

from mmseg.core.evaluation import get_classes, get_palette

from .builder import DATASETS
from .custom import CustomDataset
from .files import write_label_picture

IGNORE = 255
# The label id of each train id; every other label id is not evaluated.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
NUM_LABEL_IDS = 34


def train_ids_table() -> np.ndarray:
    """uint8 (256,): label id → train id, 255 where there is none."""
    table = np.full(256, IGNORE, np.uint8)
    table[list(LABEL_IDS)] = np.arange(len(LABEL_IDS))
    return table


def label_ids_table() -> np.ndarray:
    """uint8 (256,): train id → label id; what is no train id becomes 0, 'unlabeled'."""
    table = np.zeros(256, np.uint8)
    table[:len(LABEL_IDS)] = LABEL_IDS
    return table


@DATASETS.register_module()
class CityscapesDataset(CustomDataset):
    """Cityscapes as downloaded, after tools/convert_datasets/cityscapes.py.

    Arguments as for :class:`CustomDataset`.
    """

    CLASSES = tuple(get_classes('cityscapes'))
    CONVERTER = 'tools/convert_datasets/cityscapes.py'
    PALETTE = get_palette('cityscapes')
    DOWNLOAD = 'leftImg8bit_trainvaltest.zip and gtFine_trainvaltest.zip of https://www.cityscapes-dataset.com'

    def __init__(self, img_suffix: str = '_leftImg8bit.png',
                 seg_map_suffix: str = '_gtFine_labelTrainIds.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def to_label_ids(self, result: np.ndarray) -> np.ndarray:
        """Train ids → label ids, the format of the Cityscapes and ACDC servers."""
        return label_ids_table()[result]

    def write_result(self, result: np.ndarray, path: str, to_label_id: bool) -> None:
        """Write one prediction, uint8 (H W), as a PNG with the classes' colours as its palette (the
        pixel values stay ids)."""
        picture = Image.fromarray(self.to_label_ids(result) if to_label_id else result)
        colours = np.zeros((256, 3), np.uint8)
        colours[list(LABEL_IDS) if to_label_id else slice(len(self.PALETTE))] = self.PALETTE
        picture.putpalette(colours.tobytes())
        write_label_picture(path, picture)
