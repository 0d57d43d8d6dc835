"""The Cityscapes label table, as far as the synthetic streets use it.

Ids, train ids, colours and the split into things and stuff are those of the data set
(Cordts et al. 2016, "The Cityscapes Dataset for Semantic Urban Scene Understanding").
"""
from __future__ import annotations

from typing import NamedTuple

import numpy as np

IGNORE = 255


class Label(NamedTuple):
    """One row: name, label id, train id (255 = ignored), RGB colour, whether it has instances."""
    name: str
    id: int
    train_id: int
    colour: tuple[int, int, int]
    thing: bool


LABELS = (
    Label('unlabeled', 0, IGNORE, (0, 0, 0), False),
    Label('ego vehicle', 1, IGNORE, (0, 0, 0), False),
    Label('static', 4, IGNORE, (0, 0, 0), False),
    Label('road', 7, 0, (128, 64, 128), False),
    Label('sidewalk', 8, 1, (244, 35, 232), False),
    Label('building', 11, 2, (70, 70, 70), False),
    Label('wall', 12, 3, (102, 102, 156), False),
    Label('fence', 13, 4, (190, 153, 153), False),
    Label('pole', 17, 5, (153, 153, 153), False),
    Label('traffic light', 19, 6, (250, 170, 30), False),
    Label('traffic sign', 20, 7, (220, 220, 0), False),
    Label('vegetation', 21, 8, (107, 142, 35), False),
    Label('terrain', 22, 9, (152, 251, 152), False),
    Label('sky', 23, 10, (70, 130, 180), False),
    Label('person', 24, 11, (220, 20, 60), True),
    Label('rider', 25, 12, (255, 0, 0), True),
    Label('car', 26, 13, (0, 0, 142), True),
    Label('truck', 27, 14, (0, 0, 70), True),
    Label('bus', 28, 15, (0, 60, 100), True),
    Label('train', 31, 16, (0, 80, 100), True),
    Label('motorcycle', 32, 17, (0, 0, 230), True),
    Label('bicycle', 33, 18, (119, 11, 32), True),
)
BY_NAME = {label.name: label for label in LABELS}
TRAIN_NAMES = tuple(label.name for label in sorted(LABELS, key=lambda row: row.train_id)
                    if label.train_id != IGNORE)


def _table(values: dict[int, object], shape: tuple[int, ...], fill: int) -> np.ndarray:
    table = np.full((256, *shape), fill, np.uint8)
    for key, value in values.items():
        table[key] = value
    return table


ID_TO_TRAIN = _table({row.id: row.train_id for row in LABELS}, (), IGNORE)
ID_TO_COLOUR = _table({row.id: row.colour for row in LABELS}, (3,), 0)
