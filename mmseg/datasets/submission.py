"""What the benchmark servers of ACDC, Cityscapes and Dark Zurich take: writing it, and looking for faults."""
from __future__ import annotations

import io
import os.path as osp
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from mmseg.utils import UserError

from .cityscapes import LABEL_IDS, label_ids_table
from .files import atomic_file, find_files, require_dir
from .preparation import PNG_END, png_size

TRAIN_IDS = frozenset(range(len(LABEL_IDS)))
EPOCH = (1980, 1, 1, 0, 0, 0)       # the same predictions give the same bytes


@dataclass(frozen=True)
class Folder:
    """A folder of a submission ('' for the top): the ids its maps hold, or, without ``ids``,
    confidences as uint16."""
    name: str
    ids: frozenset[int] | None

    def path(self, image: str) -> str:
        return f'{self.name}/{image}' if self.name else image


@dataclass(frozen=True)
class Benchmark:
    """A server: its folders; how images end; how many of which (width, height) there are."""
    folders: tuple[Folder, ...]
    img_suffix: str
    count: int
    size: tuple[int, int]
    dataset: str
    label_ids: bool = False


BENCHMARKS = {
    'acdc': Benchmark((Folder('labelTrainIds', TRAIN_IDS),), '_rgb_anon.png', 2000, (1920, 1080),
                      'ACDCDataset'),
    'cityscapes': Benchmark((Folder('', frozenset({0, *LABEL_IDS})),), '_leftImg8bit.png', 1525,
                            (2048, 1024), 'CityscapesDataset', label_ids=True),
    'darkzurich': Benchmark((Folder('labelTrainIds', TRAIN_IDS), Folder('confidence', None),
                             Folder('labelTrainIds_invalid', TRAIN_IDS | {255})), '_rgb_anon.png', 151,
                            (1920, 1080), 'DarkZurichDataset'),
}


# ---- writing ----

def write_submission(kind: str, path: str,
                     results: Iterable[tuple[str, np.ndarray, np.ndarray | None]]) -> int:
    """Write the zip of a benchmark, whole or not at all.

    Args:
        kind: a key of BENCHMARKS.
        path: of the zip.
        results: image file name, train ids uint8 (H W), and for 'darkzurich' the confidence of each
            pixel, float (H W) in 0 … 1.

    Returns:
        The number of images.

    Raises:
        UserError: the file cannot be written, or two images have the same name.
    """
    benchmark, names = BENCHMARKS[kind], set()
    with atomic_file(path) as file, zipfile.ZipFile(file, 'w') as archive:
        for filename, train_ids, confidence in results:
            name = osp.splitext(osp.basename(filename))[0] + '.png'
            if name in names:
                raise UserError(f'two images are called {name}: a submission needs a file for each')
            names.add(name)
            ids = label_ids_table()[train_ids] if benchmark.label_ids else train_ids
            for folder in benchmark.folders:
                content = ids if folder.ids else np.round(np.clip(confidence, 0, 1) * 65535).astype(np.uint16)
                archive.writestr(zipfile.ZipInfo(folder.path(name), EPOCH), _png(content))
    return len(names)


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode('.png', picture)[1].tobytes()


# ---- checking ----

def check_submission(kind: str, path: str, images: str, progress: bool = True) -> list[str]:
    """The faults of a submission, one line each, with the file; empty if the server can take it.

    Args:
        kind: a key of BENCHMARKS.
        path: of the zip.
        images: folder of the test images; their names and sizes are what is expected.

    Raises:
        UserError: no zip, no such folder, or no image there.
    """
    benchmark = BENCHMARKS[kind]
    sizes = _image_sizes(images, benchmark)
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [info.filename for info in archive.infolist() if not info.is_dir()]
            wanted = {folder.path(name): (folder, size) for folder in benchmark.folders
                      for name, size in sizes.items()}
            faults = [*_count_faults(benchmark, sizes, images), *_name_faults(entries, wanted)]
            bar = tqdm(sorted({*entries} & {*wanted}), desc='files', unit='file', disable=not progress)
            for entry in bar:
                faults += (f'{entry}: {fault}' for fault in _entry_faults(archive, entry, *wanted[entry]))
    except FileNotFoundError:
        raise UserError(f'the submission {path} does not exist') from None
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f'{path} is no readable zip file ({error}): write it again') from None
    return faults


def _image_sizes(folder: str, benchmark: Benchmark) -> dict[str, tuple[int, int]]:
    """(width, height) of each expected image: of those in folders called test, if there are any."""
    require_dir(folder, 'folder of test images')
    names = find_files(folder, benchmark.img_suffix, 'test image')
    in_test = [name for name in names if 'test' in name.split('/')[:-1]]
    return {osp.basename(name): png_size(osp.join(folder, name)) for name in in_test or names}


def _count_faults(benchmark: Benchmark, sizes: dict[str, tuple[int, int]], images: str) -> Iterator[str]:
    """Official images have to be all there, else a submission for them is incomplete too."""
    if set(sizes.values()) == {benchmark.size} and len(sizes) != benchmark.count:
        yield f'{images}: {len(sizes)} test images, the benchmark has {benchmark.count}: unpack them in full'


def _name_faults(entries: list[str], wanted: dict) -> Iterator[str]:
    by_name = {osp.basename(entry) for entry in wanted}
    for entry, count in sorted(Counter(entries).items()):
        if entry in wanted:
            if count > 1:
                yield f'{entry}: is there {count} times'
        elif osp.basename(entry) in by_name:
            yield f'{entry}: lies in the wrong folder, expected {_places(osp.basename(entry), wanted)}'
        else:
            yield f'{entry}: does not belong there, no test image has that name'
    for entry in sorted({*wanted} - {*entries}):
        yield f'{entry}: is missing'


def _places(name: str, wanted: dict) -> str:
    return ' or '.join(sorted(entry for entry in wanted if osp.basename(entry) == name))


def _entry_faults(archive: zipfile.ZipFile, entry: str, folder: Folder,
                  size: tuple[int, int]) -> Iterator[str]:
    try:
        content = archive.read(entry)
        picture = Image.open(io.BytesIO(content))
        if picture.format != 'PNG' or not content.endswith(PNG_END):
            raise ValueError('truncated')
        picture.load()
    except (zipfile.BadZipFile, OSError, ValueError, SyntaxError):
        yield 'is no whole PNG file'
        return
    modes = ('L', 'P') if folder.ids else ('I;16', 'I')
    if picture.mode not in modes:
        expected = 'one channel of 8 bits with ids' if folder.ids else 'one channel of 16 bits'
        yield f'is a picture of mode {picture.mode}, expected {expected}'
        return
    if picture.size != size:
        yield f'is {picture.size[0]}x{picture.size[1]}, its image {size[0]}x{size[1]}'
    if folder.ids:
        yield from _id_faults(np.asarray(picture), folder.ids)


def _id_faults(ids: np.ndarray, allowed: frozenset[int]) -> Iterator[str]:
    strange = sorted({*np.unique(ids).tolist()} - allowed)
    if 255 in strange:
        yield 'holds 255 (ignored): every pixel needs a class'
        strange.remove(255)
    if strange:
        kind = 'train ids' if allowed >= TRAIN_IDS else 'label ids'
        other = 'label ids' if kind == 'train ids' else 'train ids'
        yield f'holds {strange[:5]}, which are no {kind}: are these {other}?'
