"""What a program notes in the folder that it fills: who it is, with which settings, and whether it has come
to its end."""
from __future__ import annotations

import json
import os.path as osp
from typing import Any

from mmseg.utils import DataError


def read_record(folder: str, file: str, program: str) -> dict[str, Any]:
    """What ``program`` has noted in ``file`` of its folder; empty if there is nothing.

    Raises:
        DataError: the file is damaged.
    """
    path = osp.join(folder, file)
    if not osp.isfile(path):
        return {}
    try:
        with open(path, encoding='utf-8') as content:
            record = json.load(content)
    except ValueError:
        record = None
    if not isinstance(record, dict) or record.get('program') != program:
        raise DataError(f'{path} is damaged or not written by {program}: name another folder, or remove it')
    return record
