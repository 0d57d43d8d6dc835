"""Where pretrained encoders lie, and where they can be had."""
from __future__ import annotations

import json
import os
from pathlib import Path

import mmcv

from mmseg.utils.errors import UserError, did_you_mean

from .hub import download, is_hub_name, weights_in
from .packages import PREFIX, package_file

FOLDER = 'pretrained'
OPEN_MMLAB = 'open-mmlab://'


def find_pretrained(path: str) -> str:
    """The file that ``path`` stands for. 'open-mmlab://NAME' is the file of mmcv's list of that name, in the
    folder pretrained/, which is not downloaded; 'nvidia/mit-b5' comes from the Hugging Face hub;
    'package:efficientnet_lite0' from an installed Python package; of a folder, as a clone of such a
    repository, it is the weights file in it.

    Raises:
        UserError: there is no such file; says from where to download it.
    """
    origin = 'them'
    if path.startswith(PREFIX):
        return package_file(path)
    if path.startswith(OPEN_MMLAB):
        origin = _open_mmlab_url(path[len(OPEN_MMLAB):])
        path = f'{FOLDER}/{origin.rsplit("/", 1)[1]}'
    if os.path.isdir(path):
        return weights_in(path)
    if is_hub_name(path):
        return download(path)
    if not os.path.isfile(path):
        raise UserError(f"pretrained weights '{path}' do not exist: download {origin} there, or set "
                        '--options model.pretrained=None to start from random weights')
    return path


def _open_mmlab_url(name: str) -> str:
    table = json.loads((Path(mmcv.__file__).parent / 'model_zoo' / 'open_mmlab.json').read_text())
    if name not in table:
        raise UserError(f"pretrained weights '{OPEN_MMLAB}{name}': {did_you_mean(name, table)}")
    return table[name]
