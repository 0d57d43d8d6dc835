"""Names and colours of the classes of each data set."""
from __future__ import annotations

import colorsys
import math

from mmseg.utils import UserError, did_you_mean

_CITYSCAPES = {
    'road': (128, 64, 128), 'sidewalk': (244, 35, 232), 'building': (70, 70, 70),
    'wall': (102, 102, 156), 'fence': (190, 153, 153), 'pole': (153, 153, 153),
    'traffic light': (250, 170, 30), 'traffic sign': (220, 220, 0), 'vegetation': (107, 142, 35),
    'terrain': (152, 251, 152), 'sky': (70, 130, 180), 'person': (220, 20, 60),
    'rider': (255, 0, 0), 'car': (0, 0, 142), 'truck': (0, 0, 70), 'bus': (0, 60, 100),
    'train': (0, 80, 100), 'motorcycle': (0, 0, 230), 'bicycle': (119, 11, 32),
}
_CAMVID = {
    'sky': (128, 128, 128), 'building': (128, 0, 0), 'pole': (192, 192, 128),
    'road': (128, 64, 128), 'pavement': (60, 40, 222), 'tree': (128, 128, 0),
    'sign': (192, 128, 128), 'fence': (64, 64, 128), 'car': (64, 0, 128),
    'pedestrian': (64, 64, 0), 'bicyclist': (0, 128, 192),
}
_DATASETS = {'cityscapes': _CITYSCAPES, 'camvid': _CAMVID}
_SAME_AS_CITYSCAPES = ('acdc', 'gta', 'gta5', 'gtav', 'synthia', 'darkzurich', 'foggycityscapes',
                       'raincityscapes', 'foggyraincityscapes', 'bdd100k', 'mapillary', 'cs')

# SYNTHIA has no terrain, truck and train; the older 13-class protocol also leaves out wall, fence
# and pole, whose annotation differs.
SYNTHIA_SUBSETS = {
    'mIoU16': tuple(c for c in range(19) if c not in (9, 14, 16)),
    'mIoU13': tuple(c for c in range(19) if c not in (3, 4, 5, 9, 14, 16)),
}


def _lookup(dataset: str) -> dict[str, tuple[int, int, int]]:
    if not isinstance(dataset, str):
        raise UserError(f'a data set is named by a string, got {dataset!r}')
    name = ''.join(ch for ch in dataset.lower() if ch.isalnum()).removesuffix('dataset')
    if name in _SAME_AS_CITYSCAPES:
        name = 'cityscapes'
    if name not in _DATASETS:
        raise UserError(f"data set '{dataset}' has no class names: "
                        f'{did_you_mean(name, (*_DATASETS, *_SAME_AS_CITYSCAPES))}')
    return _DATASETS[name]


def get_classes(dataset: str) -> list[str]:
    """Class names by train id of 'cityscapes', 'acdc', 'gta', 'synthia', 'dark_zurich', 'camvid'.

    Raises:
        UserError: unknown data set.
    """
    return list(_lookup(dataset))


def get_palette(dataset: str) -> list[list[int]]:
    """RGB colours (0 ... 255) by train id; names as for :func:`get_classes`.

    Raises:
        UserError: unknown data set.
    """
    return [list(colour) for colour in _lookup(dataset).values()]


def generated_palette(count: int) -> list[list[int]]:
    """RGB colours (0 ... 255) for classes that have none: the same ones every time, each another, none black.

    Hues go round in steps of the golden ratio, so neighbouring ids differ; saturation and value change after
    each dozen.
    """
    colours = []
    for number in range(count):
        hue = number * (math.sqrt(5) - 1) / 2 % 1
        tone = number // 12
        saturation, value = (0.85, 0.55, 0.7)[tone % 3], (0.95, 0.7, 0.5)[tone // 3 % 3]
        colours.append([round(255 * part) for part in colorsys.hsv_to_rgb(hue, saturation, value)])
    return colours


def cityscapes_classes() -> list[str]:
    return get_classes('cityscapes')


def cityscapes_palette() -> list[list[int]]:
    return get_palette('cityscapes')
