"""The three files of class statistics that rare class sampling reads; one writer, one reader.

    sample_class_stats.json       [{"0": count, …, "file": path}, …]       one entry per label map
    sample_class_stats_dict.json  {path: {"0": count, …}, …}
    samples_with_class.json       {"0": [[path, count], …], …}             images that hold the
    class
    class_ids.json                {"classes": […], …}                      whose ids these are

Paths are written relative to the data root. Files of the reference implementation, with paths that start with
the data root or at "/", are read as well: images are recognised by their file name.
"""
from __future__ import annotations

import json
import os.path as osp
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmseg.utils import DataError, UserError

from ..files import write_json
from ..pipelines.loading import count_values

STATS_FILE = 'sample_class_stats.json'
STATS_DICT_FILE = 'sample_class_stats_dict.json'
SAMPLES_FILE = 'samples_with_class.json'
IDS_FILE = 'class_ids.json'
FALLBACK = 'tools/class_statistics.py CONFIG'

Stats = dict[str, Any]


def label_stats(label: np.ndarray, path: str, ignore_index: int = 255) -> Stats:
    """The entry of one label map.

    Args:
        label: train ids, uint8 (H W).
        path: of its file, relative to the data root.
        ignore_index: not counted.
    """
    counts = count_values(label)
    counts[ignore_index] = 0
    return {**{str(c): int(counts[c]) for c in np.flatnonzero(counts)}, 'file': path}


@dataclass(frozen=True)
class ClassIds:
    """What the ids in label maps stand for, so that statistics of other ids are noticed.

    Args:
        classes: names by train id.
        renumbered: id in the label file → train id, where a config's ``classes`` moves them.
        reduce_zero_label: 0 is ignored and every other id one less.
    """

    classes: tuple[str, ...]
    renumbered: tuple[tuple[int, int], ...] = ()
    reduce_zero_label: bool = False

    @classmethod
    def of(cls, dataset: Any) -> ClassIds:
        """Those of a ``CustomDataset``."""
        moved = sorted((old, new) for old, new in dataset.label_map.items() if new not in (old, -1, 255))
        return cls(tuple(dataset.CLASSES or ()), tuple(moved), dataset.reduce_zero_label)

    @property
    def are_of_the_files(self) -> bool:
        """Whether train ids are what the label files hold."""
        return not self.renumbered and not self.reduce_zero_label

    def as_json(self) -> dict[str, Any]:
        return dict(classes=list(self.classes), renumbered=[list(pair) for pair in self.renumbered],
                    reduce_zero_label=self.reduce_zero_label)


def refuse_other_ids(folder: str, dataset: Any, command: str) -> None:
    """Whether the statistics in ``folder`` count the classes of ``dataset``.

    Statistics of before (and of the reference implementation) do not say whose ids they hold; where the
    config
    renumbers the ids of the files, the first label map is counted again and compared.

    Raises:
        DataError: they count other classes; a class would be drawn for another one's images.
    """
    ids, path = ClassIds.of(dataset), osp.join(folder, IDS_FILE)
    again = f'write those of this config: python {command}'
    if osp.isfile(path):
        try:
            kept = json.loads(Path(path).read_bytes())
        except ValueError:
            raise DataError(f'the statistics file {path} is damaged: {again}') from None
        differing = [key for key, value in ids.as_json().items() if not isinstance(kept, dict) or
        kept.get(key) != value]
        if differing:
            raise DataError(f'the class statistics in {folder} are of other class ids '
                            f'({", ".join(differing)} differ): '
                            f'{again}')
    elif not ids.are_of_the_files and not _counts_agree(folder, dataset):
        raise DataError(f'the class statistics in {folder} do not fit the class ids of this config: {again}')


def _counts_agree(folder: str, dataset: Any) -> bool:
    labels = LabelIndex([osp.join(dataset.ann_dir, info['ann']['seg_map']) for info in dataset.img_infos])
    for entry in read_class_stats(folder):
        for index in labels.find(entry['file'])[:1]:
            counted = label_stats(dataset.get_gt_seg_map(index), entry['file'], dataset.ignore_index)
            return counted == dict(entry)
    return True


def write_class_stats(out_dir: str, stats: Iterable[Stats], ids: ClassIds | None = None) -> None:
    """Write the files, sorted by path; the same statistics give the same bytes.

    Args:
        ids: what the class ids stand for; None leaves the statistics without that file.
    """
    entries = [dict(entry) for entry in sorted(stats, key=lambda entry: entry['file'])]
    by_path = {entry['file']: {c: n for c, n in entry.items() if c != 'file'} for entry in entries}
    with_class: dict[str, list] = defaultdict(list)
    for path, counts in by_path.items():
        for class_id, count in counts.items():
            with_class[class_id].append([path, count])
    ordered = {c: with_class[c] for c in sorted(with_class, key=int)}
    for name, content in ((STATS_FILE, entries), (STATS_DICT_FILE, by_path), (SAMPLES_FILE, ordered)):
        write_json(osp.join(out_dir, name), content)
    if ids is not None:
        write_json(osp.join(out_dir, IDS_FILE), ids.as_json())


def read_class_stats(data_root: str, command: str = FALLBACK) -> list[Stats]:
    """The entries of sample_class_stats.json in ``data_root``.

    Raises:
        UserError: missing or damaged file; names the command that writes it.
    """
    return _read(data_root, STATS_FILE, list, command)


def read_samples_with_class(data_root: str, command: str = FALLBACK) -> dict[int, list[tuple[str, int]]]:
    """{class: [(path, number of pixels), …]} from samples_with_class.json in ``data_root``.

    Raises:
        UserError: missing or damaged file; names the command that writes it.
    """
    content = _read(data_root, SAMPLES_FILE, dict, command)
    return {int(c): [(path, int(count)) for path, count in samples] for c, samples in content.items()}


def _is_pixels(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_entry(entry: Any) -> bool:
    """Pixels by class, and the label file."""
    return isinstance(entry, dict) and all(isinstance(value, str) if key == 'file'
                                           else key.isdecimal() and _is_pixels(value)
                                           for key, value in entry.items())


def _is_samples(item: tuple[str, Any]) -> bool:
    """A class, and the files that it is in with their pixels of it."""
    key, samples = item
    return key.isdecimal() and isinstance(samples, list) and all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) and _is_pixels(pair[1])
        for pair in samples)


def _read(data_root: str, name: str, kind: type, command: str) -> Any:
    path, command = osp.join(data_root, name), f'run python {command}'
    if not osp.isfile(path):
        raise UserError(f'rare class sampling needs the statistics file {path}, which does not exist: '
                        f'{command}')
    try:
        content = json.loads(Path(path).read_bytes())  # whatever its byte order mark
    except ValueError:
        raise UserError(f'the statistics file {path} is damaged: delete it and {command}') from None
    if not isinstance(content, kind):
        raise UserError(f'the statistics file {path} holds a {type(content).__name__}, expected a '
                        f'{kind.__name__}: delete it and {command}')
    fits, parts = (_is_entry, content) if kind is list else (_is_samples, content.items())
    wrong = [part for part in parts if not fits(part)][:1]
    if wrong:
        raise UserError(f'the statistics file {path} holds {str(wrong[0])[:80]}, no pixels of classes: '
                        f'delete it and {command}')
    return content


class LabelIndex:
    """Finds the images of a data set that a path in a statistics file means.

    Args:
        label_paths: of the images' label files, in the order of the images.
    """

    def __init__(self, label_paths: Sequence[str]):
        self._by_name: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)
        for index, path in enumerate(label_paths):
            parts = _parts(path)
            self._by_name[parts[-1]].append((index, parts))

    def find(self, path: str) -> list[int]:
        """The indices of the images whose label ``path`` means, in order; several pictures may share
        a label. Of labels with the same file name, the one that shares most of the path's end."""
        wanted = _parts(path)
        candidates = [(_shared_end(parts, wanted), parts, index)
                      for index, parts in self._by_name.get(wanted[-1], [])]
        if not candidates:
            return []
        _, nearest, _ = max(candidates, key=lambda entry: entry[0])
        return [index for _, parts, index in candidates if parts == nearest]


def _parts(path: str) -> list[str]:
    return osp.normpath(path.replace('\\', '/')).split('/')


def _shared_end(one: list[str], other: list[str]) -> int:
    length = 0
    while length < min(len(one), len(other)) and one[-1 - length] == other[-1 - length]:
        length += 1
    return length
