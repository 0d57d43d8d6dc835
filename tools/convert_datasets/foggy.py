"""Prepare Foggy Cityscapes: check pictures and labels, label maps in train ids, class statistics.

    python tools/convert_datasets/foggy.py data/cityscapes --nproc 8

ROOT holds leftImg8bit_foggy and gtFine. For every scene it writes gtFine/SPLIT/CITY/*_labelTrainIds.png where
that is not done yet; from the training scenes the three files that rare class sampling reads, to
ROOT/leftImg8bit_foggy, since ROOT may hold those of the clear images. It can be stopped and started again.
"""
from __future__ import annotations

import gc
import os.path as osp
import re
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.preparation.labels import Part, convert_all, parse_args
from mmseg.datasets.preparation.weather import tasks_of_scenes, warn_of_missing_scenes
from mmseg.utils import one_line_errors

IMAGES = Part('leftImg8bit_foggy', '.png',
              'leftImg8bit_trainvaltest_foggy.zip of https://www.cityscapes-dataset.com')
NAME = re.compile(r'(?P<scene>[^_/]+_\d{6}_\d{6})(?:_leftImg8bit)?_foggy_(?P<variant>beta_[\d.]+)\.png')


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(__doc__, argv)
    tasks = tasks_of_scenes(args.root, IMAGES, NAME)
    warn_of_missing_scenes(tasks, args.root, IMAGES)
    convert_all(tasks, args.root, args.out_dir or osp.join(args.root, IMAGES.folder), args.nproc)


if __name__ == '__main__':
    main()
