"""What the converters of Foggy and Rain Cityscapes share: many pictures, one label map a scene."""
from __future__ import annotations

import os.path as osp
import re
import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from mmseg.utils import UserError

from ..cityscapes import NUM_LABEL_IDS, train_ids_table
from ..files import find_files
from .labels import OUTPUT, Part, Rule, Task, require_complete

LABEL_ARCHIVE = 'gtFine_trainvaltest.zip of https://www.cityscapes-dataset.com'
FROM_IDS = Rule(train_ids_table(), NUM_LABEL_IDS)
AS_IT_IS = Rule(np.arange(256, dtype=np.uint8), 19)
UNLABELLED = 'test'
LABEL_IDS_END = '_gtFine_labelIds.png'


def tasks_of_scenes(root: str, images: Part, name: re.Pattern) -> list[Task]:
    """One task for each scene of the training and validation splits, with all its pictures.

    Args:
        root: holds the folder of ``images`` and gtFine.
        images: whose files are SPLIT/CITY/NAME.
        name: of an image file, with the groups ``scene`` and ``variant``.

    Raises:
        UserError: a part of the download is missing, a file has a strange name, or scenes have not
            all variants.
    """
    scenes: dict[str, dict[str, str]] = defaultdict(dict)
    for path in images.files(root):
        found = name.fullmatch(osp.basename(path))
        if not found or path.count('/') != 2:
            raise UserError(f'{root}/{images.folder}/{path} has no name of this data set: {images.archive} '
                            f'unpacks to {images.folder}/SPLIT/CITY/')
        scenes[f'{osp.dirname(path)}/{found["scene"]}'][found['variant']] = path
    _require_all_variants(scenes, root, images)
    labelled = [scene for scene in sorted(scenes) if scene.split('/')[0] != UNLABELLED]
    return [_task(root, scene, images, sorted(scenes[scene].values()))
            for scene in _with_labels(root, labelled)]


def _require_all_variants(scenes: dict[str, dict[str, str]], root: str, images: Part) -> None:
    variants = {variant for found in scenes.values() for variant in found}
    missing = [f'the picture {variant} of {root}/{images.folder}/{scene}'
               for scene in sorted(scenes) for variant in sorted(variants - {*scenes[scene]})]
    require_complete(missing, 'the data set', len(scenes) * len(variants), images.archive)


def _with_labels(root: str, scenes: list[str]) -> list[str]:
    """The scenes, all of which have a label file."""
    folder = osp.join(root, 'gtFine')
    Part('gtFine', '.png', LABEL_ARCHIVE).files(root)
    known = {name.removesuffix(end) for end in (LABEL_IDS_END, f'_gtFine{OUTPUT}')
             for name in find_files(folder, end, None) if name.endswith(end)}
    missing = [f'{folder}/{scene}{LABEL_IDS_END}' for scene in scenes if scene not in known]
    require_complete(missing, 'the scene of that name', len(scenes), LABEL_ARCHIVE)
    return scenes


def warn_of_missing_scenes(tasks: Sequence[Task], root: str, images: Part) -> None:
    """Tell of labels without any picture, in the splits that have pictures. Foggy Cityscapes shows all
    scenes of Cityscapes; somebody's own rendering may have fewer."""
    splits = {task.output.split('/')[1] for task in tasks}
    labels = [f'gtFine/{name}' for name in find_files(osp.join(root, 'gtFine'), LABEL_IDS_END, None)
              if name.split('/')[0] in splits]
    missing = sorted({*labels} - {task.source for task in tasks})
    if missing:
        sys.stderr.write(f'warning: no picture of {root}/{missing[0]} in {root}/{images.folder} '
                         f'({len(missing)} of {len(labels)} scenes are missing): is {images.archive} '
                         'unpacked in full?\n')


def _task(root: str, scene: str, images: Part, names: list[str]) -> Task:
    output, ids = f'gtFine/{scene}_gtFine{OUTPUT}', f'gtFine/{scene}{LABEL_IDS_END}'
    from_ids = osp.isfile(osp.join(root, ids))
    return Task(FROM_IDS if from_ids else AS_IT_IS, ids if from_ids else output, output,
                tuple(f'{images.folder}/{name}' for name in names), scene.startswith('train/'))
