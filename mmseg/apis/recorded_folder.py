"""A folder of pictures that a program fills, goes on with after it was cut off, and knows again."""
from __future__ import annotations

import hashlib
import json
import os
import os.path as osp
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from mmseg.datasets import CustomDataset
from mmseg.datasets.records import read_record
from mmseg.utils import UserError
from mmseg.utils.files import left_behind, refuse_unmarked, write_json
from mmseg.utils.reading import walk_tree

# keys of a training set that are not about which images it has
OF_TRAINING = ('cache', 'pseudo_labels', 'translated', 'use_labels')


def digest(value: Any) -> str:
    """Of a value that JSON can hold, more or less."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def images_digest(datasets: Iterable[CustomDataset]) -> str:
    """Of the names and sizes of all images."""
    return digest([(info['filename'], osp.getsize(osp.join(dataset.img_dir, info['filename'])))
                   for dataset in datasets for info in dataset.img_infos])


def refuse_own_folder(dataset: Dataset, out: str) -> None:
    """Pictures are named like the images, so writing them among the data could replace the data.

    Raises:
        UserError: ``out`` lies among the files of a data set, or of a part of it.
    """
    parts = getattr(dataset, 'datasets', [dataset])
    folders = (getattr(part, key, None) for part in parts for key in ('img_dir', 'ann_dir'))
    for folder in filter(None, folders):
        if Path(folder).resolve() in (Path(out).resolve(), *Path(out).resolve().parents):
            raise UserError(f"'{out}' is a folder of the data set and its files would be overwritten: name "
                            'another one')


class RecordedFolder:
    """
    Args:
        folder: made when the record is saved.
        names: of the pictures of all images; no two are the same.
        file: the record's name.
        program: that fills the folder.
        settings: what the pictures depend on. A folder of others is not gone on with.
        start: further entries of a new record.

    Raises:
        UserError: the folder holds something else, or pictures of other settings; a name is there twice.
    """

    WHAT = 'pictures'  # that it holds, for errors

    def __init__(self, folder: str, names: Sequence[str], file: str, program: str,
                 settings: Mapping[str, Any], **start: Any):
        self.folder, self.names, self.file = folder, names, file
        if len(set(names)) < len(names):
            twice = next(name for k, name in enumerate(names) if name in names[:k])
            raise UserError(f"two images would have the {self.WHAT[:-1]} '{twice}': rename one of them")
        self.record = read_record(folder, file, program)
        if not self.record:
            if osp.isdir(folder) and any(not left_behind(Path(entry.path)) for _, entry in walk_tree(folder)):
                raise UserError(f"the folder '{folder}' holds files that are not of {program}: name "
                                'another one')
            self.record = dict(program=program, complete=False, settings=dict(settings), **start)
        for key, value in settings.items():
            self.require(key, self.record['settings'].get(key), value)
        refuse_unmarked(path for name in names for path in self.paths(name))

    def require(self, key: str, known: Any, value: Any) -> None:
        """Raises:
            UserError: what the record knows of ``key`` is not ``value``.
        """
        if known != value:
            raise UserError(f"the {self.WHAT} in '{self.folder}' were made with other {key}: name another "
                            'folder, or remove this one')

    def paths(self, name: str) -> Iterable[str]:
        """The files of an image."""
        return (osp.join(self.folder, name),)

    def save(self) -> None:
        write_json(osp.join(self.folder, self.file), self.record)

    @property
    def missing(self) -> set[str]:
        """The pictures that are still to be made."""
        return {name for name in self.names if not all(map(osp.isfile, self.paths(name)))}

    def remove_left_behind(self) -> None:
        """What a killed run was just writing."""
        for _, entry in walk_tree(self.folder):
            if left_behind(Path(entry.path)):
                os.unlink(entry.path)
