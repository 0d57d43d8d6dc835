"""What the benchmark servers of ACDC, Cityscapes and Dark Zurich take: writing it, and looking for faults."""
from __future__ import annotations

import io
import os.path as osp
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from tqdm import tqdm

from mmseg.utils import UserError
from mmseg.utils.files import atomic_file, write_bytes

from .cityscapes import LABEL_IDS, label_ids_table
from .files import find_files, require_dir
from .preparation.labels import PNG_END, png_size

TRAIN_IDS = frozenset(range(len(LABEL_IDS)))
INVALID = 255
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
                             Folder('labelTrainIds_invalid', TRAIN_IDS | {INVALID})), '_rgb_anon.png', 151,
                            (1920, 1080), 'DarkZurichDataset'),
}


# ---- writing ----

def submission_names(filenames: Iterable[str]) -> list[str]:
    """The name of each image's map, in order.

    Raises:
        UserError: two images have the same name.
    """
    names = [osp.splitext(osp.basename(filename))[0] + '.png' for filename in filenames]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f'two images are called {twice[0]}: a submission needs a file for each')
    return names


def write_maps(kind: str, folder: str, name: str, train_ids: np.ndarray,
               confidence: np.ndarray | None = None, invalid_below: float = 0.0) -> None:
    """Write the maps of one image below ``folder``, where they lie in the zip.

    Args:
        kind: a key of BENCHMARKS.
        name: of the map, see :func:`submission_names`.
        train_ids: uint8 (H W).
        confidence: of each pixel, float (H W) in 0 ... 1; for 'darkzurich'.
        invalid_below: pixels of less confidence are 255 in labelTrainIds_invalid.

    Raises:
        UserError: the files cannot be written.
    """
    benchmark = BENCHMARKS[kind]
    ids = label_ids_table()[train_ids] if benchmark.label_ids else train_ids
    for place in benchmark.folders:
        if place.ids is None:
            content = np.round(np.clip(confidence, 0, 1) * 65535).astype(np.uint16)
        elif INVALID in place.ids:
            content = np.where(confidence < invalid_below, np.uint8(INVALID), ids)
        else:
            content = ids
        write_bytes(osp.join(folder, place.path(name)), cv2.imencode('.png', content)[1].tobytes())


def zip_maps(kind: str, path: str, folder: str, names: Sequence[str]) -> None:
    """Write the zip of a benchmark, whole or not at all, from what :func:`write_maps` wrote.

    Raises:
        UserError: a map is missing, or the zip cannot be written.
    """
    entries = [place.path(name) for name in names for place in BENCHMARKS[kind].folders]
    with atomic_file(path) as file, zipfile.ZipFile(file, 'w') as archive:
        for entry in entries:
            try:
                content = Path(folder, entry).read_bytes()
            except OSError as error:
                raise UserError(f'{entry} is not in {folder} ({error.strerror}): do all processes write to '
                                'the same disk?') from None
            archive.writestr(zipfile.ZipInfo(entry, EPOCH), content)


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
