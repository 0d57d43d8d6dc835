"""Prepare ACDC: see that the label maps are there and sound, class statistics.

    python tools/convert_datasets/acdc.py data/acdc --nproc 8

The download holds label maps in train ids (*_gt_labelTrainIds.png); where one is missing it is made from
*_gt_labelIds.png. From the training labels it writes the three files that rare class sampling reads. The
folders may be as downloaded (gt/CONDITION/SPLIT/SEQUENCE) or restructured (gt/SPLIT). It can be stopped and
started again.
"""
from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.cityscapes import NUM_LABEL_IDS, train_ids_table
from mmseg.datasets.preparation.labels import (
    OUTPUT,
    Part,
    Rule,
    Task,
    convert_all,
    parse_args,
    require_complete,
)
from mmseg.utils import one_line_errors

SITE = 'of https://acdc.vision.ee.ethz.ch'
IMAGES = Part('rgb_anon', '_rgb_anon.png', f'rgb_anon_trainvaltest.zip {SITE}')
LABELS = Part('gt', 'Ids.png', f'gt_trainval.zip {SITE}')
IDS_END, TRAIN_IDS_END = '_gt_labelIds.png', f'_gt{OUTPUT}'
FROM_IDS = Rule(train_ids_table(), NUM_LABEL_IDS)
AS_IT_IS = Rule(np.arange(256, dtype=np.uint8), 19)


def find_tasks(root: str) -> list[Task]:
    """One task a label of the training and validation splits.

    Raises:
        UserError: a part of the download is missing; names it and its archive.
    """
    images = {name.removesuffix(IMAGES.suffix) for name in IMAGES.files(root)}
    names = LABELS.files(root)
    train_ids, ids = ({name.removesuffix(end) for name in names if name.endswith(end)}
                      for end in (TRAIN_IDS_END, IDS_END))
    labels = train_ids | ids
    wanted = {stem for stem in images if 'test' not in stem.split('/')}
    require_complete([f'{root}/gt/{stem}{TRAIN_IDS_END}' for stem in sorted(wanted - labels)],
                     'the image of that name', len(wanted), LABELS.archive)
    require_complete([f'{root}/rgb_anon/{stem}{IMAGES.suffix}' for stem in sorted(labels - images)],
                     'the label of that name', len(labels), IMAGES.archive)
    return [Task(AS_IT_IS if stem in train_ids else FROM_IDS,
                 source=f'gt/{stem}{TRAIN_IDS_END if stem in train_ids else IDS_END}',
                 output=f'gt/{stem}{TRAIN_IDS_END}', images=(f'rgb_anon/{stem}{IMAGES.suffix}',),
                 in_training='train' in stem.split('/')) for stem in sorted(labels)]


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(__doc__, argv)
    convert_all(find_tasks(args.root), args.root, args.out_dir, args.nproc)


if __name__ == '__main__':
    main()
