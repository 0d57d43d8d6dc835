"""A cache of decoded and resized training images, and the transform that reads it.

Two files per image below ``DIR/TYPE_IMAGEFOLDER_SIZE/``: NAME.npy, the bytes of the image and then those of
the label map, and NAME.json, their shapes and all else. The array is mapped into memory, so a crop reads its
own rows alone.

Nothing stale is ever used. Each NAME.json holds, and each use compares,

- the digest of the settings: the transforms that it replaces with their arguments, the renaming and the
  range of the labels, OpenCV's version, the format;
- the size and the time of the last change, in nanoseconds, of the image and of the label file. A hash of
  their content would mean reading both on each use, which is what the cache is to save; make and git trust
  the same two. Only a program that changes pixels and then puts back the time deceives them.
"""
from __future__ import annotations

import hashlib
import json
import math
import os
import os.path as osp
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np

from mmseg.utils import UserError, get_root_logger
from mmseg.utils.files import atomic_file, write_bytes

from ..files import write_json
from ..pipelines import Compose, LoadAnnotations, LoadImageFromFile, Resize

FORMAT = 2
SETTINGS_FILE = 'cache.json'
# Of what a data set gives to its pipeline, that which differs between its images or between disks.
PLACES = ('img_info', 'ann_info', 'img_prefix', 'seg_prefix', 'seg_fields')
REBUILD = 'run python tools/cache_dataset.py on the config again'


class StaleCache(Exception):
    """Why a file of the cache cannot be used."""


def cached_length(pipeline: Compose) -> int:
    """How many leading transforms a cache replaces: the reading of the files and fixed resizing.

    Raises:
        UserError: the pipeline does not start by reading uint8 images from the disk.
    """
    count = 0
    for transform in pipeline.transforms:
        kinds = LoadImageFromFile, LoadAnnotations, Resize
        if type(transform) not in kinds or not transform.deterministic:
            break
        count += 1
        if getattr(transform, 'to_float32', False):
            raise UserError('a cache holds uint8 images: leave out LoadImageFromFile.to_float32, or cache')
        if getattr(transform, 'file_client_args', {'backend': 'disk'})['backend'] != 'disk':
            raise UserError(f"a cache needs images on the disk, not file_client_args="
                            f'{transform.file_client_args}')
    if not count or not isinstance(pipeline.transforms[0], LoadImageFromFile):
        raise UserError('a cache stands for the first transforms of a pipeline, which must begin with '
                        'LoadImageFromFile')
    return count


class CachedImages:
    """A transform in place of the first ones of a pipeline: it gives what they give, bit for bit.

    Args:
        folder: of this data set's part of the cache; see :func:`folder_of`.
        transforms: those that it replaces.
        given: what the data set gives to its pipeline for any of its images.
        missing: 'error', or 'decode' to read the source's files where the cache has nothing that can be
            used; the log then says so once.
        lend: hand out the mapped memory itself, which is read-only; the next transform copies what it
            needs.
    """

    deterministic = True

    def __init__(self, folder: str, transforms: Compose, given: dict, missing: str = 'error',
                 lend: bool = False):
        if missing not in ('error', 'decode'):
            raise UserError(f"cache: missing must be 'error' or 'decode', got '{missing}'")
        self.folder, self.transforms, self.missing, self.lend = folder, transforms, missing, lend
        self.settings = settings_of(transforms, given)
        self.digest = hashlib.sha256(json.dumps(self.settings, sort_keys=True).encode()).hexdigest()
        self.noted = False

    # ---- reading ----

    def __call__(self, results: dict) -> dict:
        try:
            return self._read(results)
        except StaleCache as reason:
            self.give_up(reason)
            return self.transforms(results)

    def give_up(self, reason: StaleCache) -> None:
        """Log, once, that source files are decoded in place of the cache.

        Raises:
            UserError: ``missing`` is 'error'.
        """
        if self.missing == 'error':
            raise UserError(f"{reason}: {REBUILD}, or set cache=dict(dir='...', missing='decode')") from None
        if not self.noted:
            get_root_logger().warning(f'{reason}: decoding the source files, which is slower; to mend it, '
                                      f'{REBUILD}')
            self.noted = True

    def check(self, names: Iterable[str]) -> None:
        """Look at the cache as a whole before it is used for the images ``names``.

        Raises:
            StaleCache: there is none, it was made with other settings, or images are not in it.
        """
        try:
            with open(osp.join(self.folder, SETTINGS_FILE)) as file:
                found = json.load(file)
        except (OSError, ValueError):
            raise StaleCache(f'there is no finished cache in {self.folder}') from None
        for key, value in self.settings.items():
            if found.get(key) != value:
                raise StaleCache(f'the cache {self.folder} was made with {key}={found.get(key)}, and the '
                                 f'config asks for {value}')
        absent = [name for name in names if not osp.isfile(osp.join(self.folder, name + '.npy'))]
        if absent:
            raise StaleCache(f'{len(absent)} images, such as {absent[0]}, are not in the cache {self.folder}')

    def is_fresh(self, results: dict) -> bool:
        """Whether the cache holds the image that the data set gives as ``results``."""
        try:
            self._open(results)
        except StaleCache:
            return False
        return True

    def _path(self, results: dict) -> str:
        """Of an image's files, without their suffixes."""
        return osp.join(self.folder, results['img_info']['filename'])

    def _read(self, results: dict) -> dict:
        header, pixels = self._open(results)
        position = 0
        for key, shape in header['arrays'].items():
            start, position = position, position + math.prod(shape)
            array = pixels[start:position].reshape(shape)
            results[key] = array if self.lend else array.copy()
            if key != 'img':
                results.setdefault('seg_fields', []).append(key)
        results.update(_decoded(header['rest']))
        results['filename'], results['ori_filename'] = _image_path(results), results['img_info']['filename']
        return results

    def _open(self, results: dict) -> tuple[dict, np.ndarray]:
        """What NAME.json says and the pixels, uint8 (bytes,), of an image.

        Raises:
            StaleCache: they cannot be used.
        """
        path = self._path(results)
        try:
            with open(path + '.json', 'rb') as file:
                header = json.load(file)
            pixels = np.lib.format.open_memmap(path + '.npy', mode='r').view(np.ndarray)
        except FileNotFoundError as error:
            raise StaleCache(f'the cache has no {error.filename}') from None
        except (OSError, ValueError, EOFError):
            raise StaleCache(f'{path}.npy or its .json is damaged') from None
        if header['settings'] != self.digest:
            raise StaleCache(f'{path} was made with other settings')
        if header['sources'] != _stamps(results):
            raise StaleCache(f'{_image_path(results)} or its label was changed after it was cached')
        if pixels.size != sum(map(math.prod, header['arrays'].values())):
            raise StaleCache(f'{path}.npy is damaged')
        return header, pixels

    # ---- writing ----

    def write(self, results: dict) -> int:
        """Decode one image of the data set, from what it gives to its pipeline, into the cache.

        Returns:
            the number of bytes of its pixels; 0 if the cache held it already.

        Raises:
            UserError: a source file that cannot be read, or the cache cannot be written.
        """
        path = self._path(results)
        if self.is_fresh(results):
            return 0
        # before the files are read: what changes meanwhile has another time
        stamps = _stamps(results)
        done = self.transforms({**results, 'seg_fields': []})
        arrays = {key: np.ascontiguousarray(done[key]) for key in ('img', *done['seg_fields'])}
        if any(array.dtype != np.uint8 for array in arrays.values()):
            raise UserError(f'{_image_path(results)} has more than 8 bits a channel, which a cache has not')
        rest = {key: value for key, value in done.items()
                if key not in (*results, *arrays, 'seg_fields', 'filename', 'ori_filename')}
        header = dict(settings=self.digest, sources=stamps, rest=_encoded(rest),
                      arrays={key: list(array.shape) for key, array in arrays.items()})
        pixels = np.concatenate([array.ravel() for array in arrays.values()])
        with atomic_file(path + '.npy') as file:
            np.save(file, pixels)
        write_bytes(path + '.json', json.dumps(header).encode())
        return pixels.nbytes

    def finish(self) -> None:
        """Say that the cache is whole, and in which settings."""
        write_json(osp.join(self.folder, SETTINGS_FILE), self.settings)


def settings_of(transforms: Compose, given: dict) -> dict[str, Any]:
    """All that the pixels depend on besides the files, as JSON gives it back."""
    settings = dict(format=FORMAT, opencv=cv2.__version__, labels='ann_info' in given,
                    transforms=[repr(transform) for transform in transforms.transforms])
    for key, value in given.items():
        if key not in PLACES:
            settings[key] = sorted(value.items()) if isinstance(value, dict) else value
    return json.loads(json.dumps(settings))


def folder_of(cache_dir: str, kind: str, img_dir: str, transforms: Compose, labels: bool) -> str:
    """Where a data set's part of a cache is: ``CACHE_DIR/TYPE_IMAGEFOLDER_SIZE``. Readable; the settings
    are compared besides."""
    sizes = ['x'.join(map(str, t.img_scale[0])) for t in transforms.transforms if isinstance(t, Resize)]
    parts = [kind, img_dir.strip('/').replace('/', '-'), *(sizes or ['full'])]
    return osp.join(cache_dir, '_'.join(parts if labels else [*parts, 'images']))


def _image_path(results: dict) -> str:
    return _joined(results.get('img_prefix'), results['img_info']['filename'])


def _joined(prefix: str | None, name: str) -> str:
    return osp.join(prefix, name) if prefix else name


def _stamps(results: dict) -> list[list[int]]:
    """Size and time of change of an image's source files."""
    paths = [_image_path(results)]
    if results.get('ann_info') is not None:
        paths.append(_joined(results.get('seg_prefix'), results['ann_info']['seg_map']))
    stamps = []
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError as error:
            raise UserError(f'cannot read {path}: {error.strerror or error}') from None
        stamps.append([stat.st_size, stat.st_mtime_ns])
    return stamps


def _encoded(value: Any) -> Any:
    """JSON of shapes, numbers and float32 arrays."""
    if isinstance(value, np.ndarray):
        return {'float32': value.tolist()}
    if isinstance(value, dict):
        return {key: _encoded(entry) for key, entry in value.items()}
    return value


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {'float32'}:
            return np.array(value['float32'], np.float32)
        return {key: _decoded(entry) for key, entry in value.items()}
    return tuple(value) if isinstance(value, list) else value
