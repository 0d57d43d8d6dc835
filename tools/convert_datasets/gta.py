"""Prepare GTA5: label maps in train ids, class statistics, the list of what is left out.

    python tools/convert_datasets/gta.py data/gta --nproc 8

For every labels/NUMBER.png it writes labels/NUMBER_labelTrainIds.png; from all of them the three files that
rare class sampling reads. A few labels of the download differ in size from their image: they are named, left
out, and kept in excluded_images.txt, which the data set reads. It can be stopped and started again.
"""
from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mmseg.datasets.cityscapes import train_ids_table
from mmseg.datasets.preparation.labels import (
    Part,
    Rule,
    Task,
    convert_all,
    leave_out,
    parse_args,
    tasks_of_pairs,
)
from mmseg.utils import one_line_errors

SITE = 'of https://download.visinf.tu-darmstadt.de/data/from_games/'
IMAGES = Part('images', '.png', f'01_images.zip ... 10_images.zip {SITE}')
LABELS = Part('labels', '.png', f'01_labels.zip ... 10_labels.zip {SITE}')
NUM_LABEL_IDS = 35  # those of Cityscapes, and 34 for licence plates


def warn_of_gaps(tasks: Sequence[Task]) -> None:
    """Images are numbered from 1, a few thousand an archive: where numbers are missing both of images
    and of labels, an archive of each was forgotten. A smaller set of somebody's own may have gaps."""
    numbers = {int(stem) for task in tasks if (stem := Path(task.images[0]).stem).isdecimal()}
    missing = sorted({*range(1, max(numbers, default=0))} - numbers)
    if missing:
        sys.stderr.write(f'warning: {missing[0]:05d}.png is missing ({len(missing)} of {max(numbers)} are, '
                         f'image and label): are {IMAGES.archive} and {LABELS.archive} all unpacked?\n')


@one_line_errors
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_args(__doc__, argv)
    rule = Rule(train_ids_table(), NUM_LABEL_IDS, sizes_may_differ=True)
    tasks = tasks_of_pairs(args.root, IMAGES, LABELS, rule)
    warn_of_gaps(tasks)
    passed_over = convert_all(tasks, args.root, args.out_dir, args.nproc)
    for _, reason in passed_over:
        sys.stderr.write(f'left out: {reason}\n')
    leave_out(args.root, [task.images[0].removeprefix(f'{IMAGES.folder}/') for task, _ in passed_over])


if __name__ == '__main__':
    main()
