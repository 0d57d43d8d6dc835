"""A folder of translated images: NAME.png for every image NAME of a source data set, with its sub-folders.
tools/translate.py writes one, and a file with its settings; folders of others have no such file."""
from __future__ import annotations

import os.path as osp
from collections.abc import Iterable

from mmseg.utils import DataError
from mmseg.utils.reading import is_folder

from .files import find_files
from .records import read_record

RECORD = 'translation.json'
PROGRAM = 'tools/translate.py'
SUFFIX = '.png'


def translated_name(image: str) -> str:
    """The name of an image's translation."""
    return osp.splitext(image)[0] + SUFFIX


def require_translated(folder: str, names: Iterable[str]) -> None:
    """Whether a folder has the translations that a data set needs.

    Args:
        names: of the translations.

    Raises:
        DataError: no such folder, one that is not finished, or an image without a translation.
    """
    if not is_folder(folder):
        raise DataError(f'the folder of translated images {folder} does not exist: make it with {PROGRAM}')
    record = read_record(folder, RECORD, PROGRAM)
    if record and not record.get('complete'):
        raise DataError(f'the translated images in {folder} are not finished: run {PROGRAM} again, which '
                        'goes on where it stopped')
    known = set(find_files(folder, SUFFIX, None))
    missing = [name for name in names if osp.normpath(name) not in known]
    if missing:
        raise DataError(f'{len(missing)} images have no translation, the first is '
                        f'{osp.join(folder, missing[0])}: run {PROGRAM} on this data set')
