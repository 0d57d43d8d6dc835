"""What the programs in tools/convert_datasets share: label maps in train ids, made once and safely."""
from __future__ import annotations

import multiprocessing
import os
import os.path as osp
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmseg.utils import UserError

from .class_stats import Stats, write_class_stats
from .files import atomic_file
from .pipelines.loading import count_values, read_label


def run_all(function: Callable[[Any], Any], items: Sequence[Any], nproc: int, title: str) -> list:
    """[function(item), …] in order, on ``nproc`` processes, with a progress bar.

    Raises:
        UserError: as ``function`` does; the work done so far is kept.
    """
    bar = partial(tqdm, total=len(items), desc=title, unit='file', dynamic_ncols=True)
    if nproc <= 1 or len(items) <= 1:
        return [function(item) for item in bar(items)]
    with multiprocessing.Pool(min(nproc, len(items))) as pool:
        return list(bar(pool.imap(function, items, chunksize=max(1, min(16, len(items) // nproc)))))


def map_ids(label: np.ndarray, table: np.ndarray, known: int, path: str) -> np.ndarray:
    """Label ids → train ids.

    Args:
        label: uint8 (H W).
        table: uint8 (256,), train id of each label id.
        known: label ids are 0 … known − 1 (and 255, Cityscapes' −1).
        path: of the label, for the error.

    Raises:
        UserError: a value that is no label id.
    """
    strange = np.flatnonzero(count_values(label)[known:255])
    if len(strange):
        raise UserError(f'label value {strange[0] + known} in {path} is no label id (0 ... {known - 1}): '
                        'is the file damaged, or from another data set?')
    return table[label]


def write_label(path: str, label: np.ndarray) -> None:
    """Write a label map, uint8 (H W), as PNG; whole or not at all."""
    with atomic_file(path) as file:
        Image.fromarray(label).save(file, format='PNG')


def valid_output(path: str, source: str, size: tuple[int, int], num_classes: int) -> np.ndarray | None:
    """The label map that an earlier run wrote, if it can be kept, else None.

    It can if it is not older than its source, decodes, has the size (width, height) and holds train ids only.
    """
    if not osp.isfile(path) or os.stat(path).st_mtime < os.stat(source).st_mtime:
        return None
    try:
        label = read_label(path)
    except UserError:
        return None
    fits = label.shape == size[::-1] and not count_values(label)[num_classes:255].any()
    return label if fits else None


def save_stats(out_dir: str, stats: Iterable[Stats | None]) -> int:
    """Write the three statistics files of the entries that are not None; gives their number."""
    entries = [entry for entry in stats if entry is not None]
    if entries:
        write_class_stats(out_dir, entries)
    return len(entries)
