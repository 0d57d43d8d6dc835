"""Prepare SYNTHIA-RAND-CITYSCAPES: label maps in train ids, class statistics.

    python tools/convert_datasets/synthia.py data/synthia --nproc 8

For every GT/LABELS/NUMBER.png (16 bit, three channels, the class in the red one) it writes
GT/LABELS/NUMBER_labelTrainIds.png; from all of them the three files that rare class sampling reads. It can be
stopped and started again.
"""
from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.pipelines.loading import read_bytes
from mmseg.datasets.preparation.labels import Part, Rule, convert_all, parse_args, tasks_of_pairs
from mmseg.utils import UserError, one_line_errors

ARCHIVE = 'SYNTHIA_RAND_CITYSCAPES.rar of https://synthia-dataset.net'
IMAGES = Part('RGB', '.png', ARCHIVE)
LABELS = Part('GT/LABELS', '.png', ARCHIVE)
NUM_LABEL_IDS = 23
TRAIN_IDS = {3: 0, 4: 1, 2: 2, 21: 3, 5: 4, 7: 5, 15: 6, 9: 7, 6: 8, 16: 9, 1: 10, 10: 11, 17: 12, 8: 13,
             18: 14, 19: 15, 20: 16, 12: 17, 11: 18}


def train_ids_table() -> np.ndarray:
    """uint8 (256,): SYNTHIA's label id → train id, 255 where there is none."""
    table = np.full(256, 255, np.uint8)
    table[list(TRAIN_IDS)] = list(TRAIN_IDS.values())
    return table


def read_synthia_label(path: str) -> np.ndarray:
    """Label ids, uint8 (H W), of one of SYNTHIA's label files.

    Raises:
        UserError: missing or damaged, not 16 bit in three channels, or values above 255.
    """
    content = np.frombuffer(read_bytes(path, 'label'), np.uint8)
    pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
    if pixels is None:
        raise UserError(f'cannot decode the label {path} ({len(content)} bytes): unpack {ARCHIVE} again')
    if pixels.ndim != 3 or pixels.dtype != np.uint16:
        raise UserError(f'the label {path} holds {pixels.dtype} {pixels.shape}, expected 16 bit in three '
                        'channels: is it from GT/COLOR?')
    classes = pixels[..., -1]
    if classes.size and classes.max() > 255:
        raise UserError(f'label value {classes.max()} in {path} is no label id (0 ... {NUM_LABEL_IDS - 1})')
    return classes.astype(np.uint8)


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(__doc__, argv)
    rule = Rule(train_ids_table(), NUM_LABEL_IDS, read_synthia_label)
    tasks = tasks_of_pairs(args.root, IMAGES, LABELS, rule)
    convert_all(tasks, args.root, args.out_dir, args.nproc)


if __name__ == '__main__':
    main()
