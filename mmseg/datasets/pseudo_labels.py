"""The folder that tools/make_pseudo_labels.py writes: labels/NAME.png and confidence/NAME.png for every image
NAME, with its sub-folders, and a file with the settings and the thresholds of the classes."""
from __future__ import annotations

import os.path as osp
from collections.abc import Iterable, Sequence

from mmseg.utils import DataError
from mmseg.utils.reading import is_folder

from .files import find_files
from .records import read_record

LABELS, CONFIDENCE, RECORD = 'labels', 'confidence', 'pseudo_labels.json'
FIELD = 'pseudo_semantic_seg'   # of a sample
VALID = 'valid_pseudo_mask'     # of a sample: 0 where labels that the teacher makes do not count
PROGRAM = 'tools/make_pseudo_labels.py'


def picture_name(image: str, img_suffix: str) -> str:
    """The name of an image's pictures, below ``labels`` and ``confidence``."""
    return image.removesuffix(img_suffix) + '.png'


def require_pseudo_labels(folder: str, names: Iterable[str], classes: Sequence[str] | None) -> None:
    """Whether a folder has the pseudo-labels that a data set needs.

    Args:
        names: of the pictures, see ``picture_name``.
        classes: of the data set.

    Raises:
        DataError: no such folder, one that is not finished, other classes, or an image without a label.
    """
    if not is_folder(folder):
        raise DataError(f'the folder of pseudo-labels {folder} does not exist: make it with {PROGRAM}')
    record = read_record(folder, RECORD, PROGRAM)
    if not record.get('complete'):
        raise DataError(f'the pseudo-labels in {folder} are not finished: run {PROGRAM} again, which goes on '
                        'where it stopped')
    if list(record['classes']) != list(classes or ()):
        raise DataError(f'the pseudo-labels in {folder} are of the classes {", ".join(record["classes"])}, '
                        f'the data set has {", ".join(classes or ())}')
    known = set(find_files(osp.join(folder, LABELS), '.png', None))
    missing = [name for name in names if osp.normpath(name) not in known]
    if missing:
        raise DataError(f'{len(missing)} images have no pseudo-label, the first is '
                        f'{osp.join(folder, LABELS, missing[0])}: run {PROGRAM} on this data set')
