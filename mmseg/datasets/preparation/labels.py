"""What the programs in tools/convert_datasets share: label maps in train ids, made once and safely."""
from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import os.path as osp
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from tqdm import tqdm

from mmseg.core.evaluation import get_classes
from mmseg.utils import ArgumentParser, UserError
from mmseg.utils.errors import positive
from mmseg.utils.files import atomic_file
from mmseg.utils.reading import is_folder, read_lines, walk_tree

from ..files import find_files, names_in, write_text
from ..pipelines.loading import count_values, read_label
from .class_stats import ClassIds, Stats, label_stats, write_class_stats

PNG_END = b'\x00\x00\x00\x00IEND\xaeB`\x82'
# what atomic_file was writing when it was killed
LEFTOVER = re.compile(r'.+(TrainIds\.png|\.json|\.npy|\.txt)\.tmp\d+')
OUTPUT = '_labelTrainIds.png'
LOCK_SECONDS = 20
EXCLUDED = 'excluded_images.txt'   # in the data root: images that training passes over, one name a line
FORMERLY = 'left_out.txt'


def run_all(function: Callable[[Any], Any], items: Sequence[Any], nproc: int, title: str) -> list:
    """[function(item), …] in order, on ``nproc`` processes, with a progress bar.

    Raises:
        UserError: as ``function`` does; the work done so far is kept.
    """
    with contextlib.ExitStack() as stack:
        if nproc <= 1 or len(items) <= 1:
            results = map(function, items)
        else:
            pool = stack.enter_context(multiprocessing.Pool(min(nproc, len(items))))
            results = pool.imap(function, items, chunksize=max(1, min(16, len(items) // nproc)))
        # closed also by an error, whose message so gets a line of its own
        bar = tqdm(results, total=len(items), desc=title, unit='file', dynamic_ncols=True)
        return list(stack.enter_context(bar))


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
        png_size(path)
        label = read_label(path)
    except UserError:
        return None
    fits = label.shape == size[::-1] and not count_values(label)[num_classes:255].any()
    return label if fits else None


def save_stats(out_dir: str, stats: Iterable[Stats | None], ids: ClassIds | None = None) -> int:
    """Write the statistics files of the entries that are not None; gives their number.

    Args:
        ids: what the class ids stand for; None: Cityscapes' train ids.
    """
    entries = [entry for entry in stats if entry is not None]
    if entries:
        write_class_stats(out_dir, entries, ids or ClassIds(tuple(get_classes('cityscapes'))))
    return len(entries)


# ---- downloads ----

@dataclass(frozen=True)
class Part:
    """A part of a download: its folder below the data root, how its files end, and what to fetch."""
    folder: str
    suffix: str
    archive: str

    def files(self, root: str) -> list[str]:
        """Names relative to the folder, sorted.

        Raises:
            UserError: no such folder, or nothing in it; names the archive.
        """
        if not is_folder(root):
            raise UserError(f'the data root {root} does not exist: make it and unpack {self.archive} there')
        folder = osp.join(root, self.folder)
        if not is_folder(folder):
            inside = ', '.join(names_in(root)[:8]) or 'nothing'
            raise UserError(f'{folder} does not exist ({root} holds: {inside}): unpack {self.archive} in '
                            f'{root}; if it is there under another name, name it {self.folder}')
        names = find_files(folder, self.suffix, None)
        if not names:
            raise UserError(f'no *{self.suffix} in {folder}: unpack {self.archive} in {root}')
        return names


def require_complete(missing: Sequence[str], needed_for: str, total: int, archive: str) -> None:
    """Raises:
        UserError: files are missing: names the first, how many of how many, and the archive.
    """
    if missing:
        raise UserError(f'{missing[0]} is missing, which {needed_for} needs ({len(missing)} of {total} are '
                        f'missing): is {archive} unpacked in full?')


def png_size(path: str) -> tuple[int, int]:
    """(width, height) of a PNG by its head; its end has to be there too.

    Raises:
        UserError: missing, truncated, or no PNG.
    """
    try:
        with open(path, 'rb') as file:
            size = PngImageFile(file).size
            file.seek(-len(PNG_END), os.SEEK_END)
            whole = file.read() == PNG_END
    except (SyntaxError, ValueError, OSError) as error:
        if getattr(error, 'errno', None):  # others are Pillow's, of damaged files
            raise UserError(f'cannot read the image {path}: {error.strerror}') from None
        whole = False
    if not whole:
        raise UserError(f'{path} is no whole PNG file: unpack or fetch it again')
    return size


# ---- label maps ----

def parse_args(document: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line of a converter: root, out_dir, nproc."""
    parser = ArgumentParser(description=document.split('\n')[0])
    parser.add_argument('root', help='the data root, where the archives were unpacked')
    parser.add_argument('-o', '--out-dir', help='folder of the statistics (default: below the data root)')
    parser.add_argument('--nproc', type=positive, default=4, help='processes (default: %(default)s)')
    return parser.parse_args(argv)


@dataclass(frozen=True)
class Rule:
    """How the label files of a data set are read and what their ids mean.

    Attributes:
        table: train id of each label id, uint8 (256,).
        known: label ids are 0 … known − 1, and 255.
        read: path → label ids, uint8 (H W).
        sizes_may_differ: a label of another size than its image is left out, no error.
    """
    table: np.ndarray
    known: int
    read: Callable[[str], np.ndarray] = read_label
    sizes_may_differ: bool = False


@dataclass(frozen=True)
class Task:
    """One label file: how it is read; its path, that of the label map to write, those of its images,
    all relative to the data root; whether it counts for the statistics."""
    rule: Rule
    source: str
    output: str
    images: tuple[str, ...]
    in_training: bool


@dataclass(frozen=True)
class Outcome:
    """Statistics of a training label; or why a label is left out: its size is not its image's."""
    stats: Stats | None = None
    mismatch: str | None = None


def convert_label(task: Task, root: str) -> Outcome:
    """Make sure that the label map of ``task`` exists and is sound.

    Raises:
        UserError: a damaged file, or a value that is no label id.
    """
    source, output, rule = osp.join(root, task.source), osp.join(root, task.output), task.rule
    ids, size = rule.read(source), png_size(source)
    for image in task.images:
        width, height = png_size(osp.join(root, image))
        if (width, height) != size:
            mismatch = f'{source} is {size[0]}x{size[1]} but its image {image} is {width}x{height}'
            if rule.sizes_may_differ:
                return Outcome(mismatch=mismatch)
            raise UserError(f'{mismatch}: one of them is from another data set; unpack both again')
    label = valid_output(output, source, size, int(rule.table[rule.table != 255].max()) + 1)
    if label is None:
        label = map_ids(ids, rule.table, rule.known, source)
        write_label(output, label)
    return Outcome(label_stats(label, task.output) if task.in_training else None)


def tasks_of_pairs(root: str, images: Part, labels: Part, rule: Rule) -> list[Task]:
    """One task a label, whose image has the same name in another folder; all count for training.

    Raises:
        UserError: a part of the download is missing; names it and its archive.
    """
    image_names = images.files(root)
    label_names = [name for name in labels.files(root) if not name.endswith(OUTPUT)]
    for ours, others, part, reason in ((image_names, label_names, labels, 'image'),
                                       (label_names, image_names, images, 'label')):
        missing = [f'{root}/{part.folder}/{name}' for name in sorted({*ours} - {*others})]
        require_complete(missing, f'the {reason} of that name', len(ours), part.archive)
    return [Task(rule, source=f'{labels.folder}/{name}',
                 output=f'{labels.folder}/{name.removesuffix(labels.suffix)}{OUTPUT}',
                 images=(f'{images.folder}/{name}',), in_training=True) for name in label_names]


def convert_all(tasks: Sequence[Task], root: str, out_dir: str | None,
                nproc: int) -> list[tuple[Task, str]]:
    """Convert everything, write the statistics to ``out_dir`` (None: the root), say what was done.

    Returns:
        The tasks that are left out because label and image differ in size, each with the reason.

    Raises:
        UserError: as :func:`convert_label` does, or another program is at work.
    """
    out_dir = out_dir or root
    with working_in(root, out_dir):
        outcomes = run_all(partial(convert_label, root=root), tasks, nproc, 'label maps')
        count = save_stats(out_dir, (outcome.stats for outcome in outcomes))
    passed_over = [(task, outcome.mismatch) for task, outcome in zip(tasks, outcomes) if outcome.mismatch]
    sys.stdout.write(f'{len(tasks) - len(passed_over)} label maps; class statistics of {count} training '
                     f'labels in {out_dir}\n')
    return passed_over


def leave_out(root: str, names: Sequence[str]) -> None:
    """Keep the names of images that training passes over in the data root."""
    path = osp.join(root, EXCLUDED)
    if names or left_out(root) or osp.exists(path):
        write_text(path, ''.join(f'{name}\n' for name in sorted(names)))
        with contextlib.suppress(FileNotFoundError):
            os.remove(osp.join(root, FORMERLY))


def left_out(root: str | None) -> set[str]:
    """What :func:`leave_out` kept, under its former name too."""
    found: set[str] = set()
    for name in (EXCLUDED, FORMERLY) if root is not None else ():
        path = osp.join(root, name)
        if osp.isfile(path):
            found.update(read_lines(path, 'list'))
    return found


@contextlib.contextmanager
def working_in(*folders: str) -> Iterator[None]:
    """Alone at work in folders: what a killed run left half-written there is removed first.

    Raises:
        UserError: another program is at work there.
    """
    with contextlib.ExitStack() as stack:
        for folder in dict.fromkeys(map(osp.realpath, folders)):
            os.makedirs(folder, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            _lock(handle, folder)
            for name, entry in walk_tree(folder, refused='skipped'):  # in those nothing was written
                if LEFTOVER.fullmatch(entry.name):
                    os.unlink(osp.join(folder, name))
        yield


def _lock(handle: int, folder: str) -> None:
    """Take the lock of a folder. The workers of a killed run hold it until their last file is done."""
    import fcntl  # only POSIX systems have it, and only converters need it
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise UserError(f'another program is at work in {folder}: wait for its end') from None
            time.sleep(0.1)
