"""Writing files so that nothing is ever half written, and nothing of a user's is replaced unasked."""
from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import json
import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from .errors import UserError

MARK = b'EBDA mmseg'
PNG_START, JPEG_START = b'\x89PNG\r\n\x1a\n', b'\xff\xd8'
PNG_HEAD = 33  # bytes of a PNG before its second chunk

TEMPORARY_NAME = re.compile(r'.+\.tmp(\d+)')


@contextlib.contextmanager
def replacing(path: str | os.PathLike, suffix: str = '') -> Iterator[str]:
    """Inside the block a path beside ``path``, ``<path>.tmp<process><suffix>``, to make a new file at. The
    file takes the name ``path`` when the block ends well: at any moment the old or the new one is there,
    whole. Otherwise it is removed. Makes the folder.

    Raises:
        UserError: an OSError in the block, or the folder cannot be written to.
    """
    path = os.path.abspath(path)
    temporary = f'{path}.tmp{os.getpid()}{suffix}'
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # of a killed process of that number
            os.remove(temporary)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


@contextlib.contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """Inside the block a binary file to write, which becomes ``path`` as :func:`replacing` says. It is
    locked, so that others see that somebody writes it.

    Raises:
        UserError: it cannot be written.
    """
    with contextlib.ExitStack() as after, replacing(path) as temporary, open(temporary, 'wb') as file:
        with contextlib.suppress(OSError):  # there are file systems without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        after.callback(os.close, os.dup(file.fileno()))  # locked until the file has its name
        yield file


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a whole file at once, see :func:`atomic_file`."""
    with atomic_file(path) as file:
        file.write(data)


def left_behind(path: Path) -> bool:
    """Whether ``path`` is called like a temporary file and nobody writes it any more. Where that cannot be
    known, as on file systems without locks, it counts as written."""
    name = TEMPORARY_NAME.fullmatch(path.name)
    if name is None:
        return False
    if path.is_symlink():  # it has no content, and its name but for a moment
        return not Path(f'/proc/{name[1]}').exists()
    if not path.is_file():
        return False
    with contextlib.suppress(OSError), open(path, 'rb+') as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON, as :func:`write_bytes` does; a class or function under its name, by
    which
    a registry finds it again.

    Raises:
        UserError: something in it that JSON cannot hold.
    """
    def name_of(inner: Any) -> str:
        if callable(inner) and hasattr(inner, '__name__'):
            return inner.__name__
        raise UserError(f"cannot write '{path}': it holds {inner!r} ({type(inner).__name__}), expected "
                        f"numbers, text, "
                        'lists and dicts')
    write_bytes(path, (json.dumps(value, indent=1, default=name_of) + '\n').encode())


def marked(picture: bytes) -> bytes:
    """The content of a PNG or JPEG file with a comment that says who made it; others as they are."""
    if picture.startswith(PNG_START):
        chunk = b'tEXtSoftware\0' + MARK
        return b''.join((picture[:PNG_HEAD], struct.pack('>I', len(chunk) - 4), chunk,
                         struct.pack('>I', zlib.crc32(chunk)), picture[PNG_HEAD:]))
    if picture.startswith(JPEG_START):
        return b''.join((JPEG_START, b'\xff\xfe', struct.pack('>H', len(MARK) + 2), MARK, picture[2:]))
    return picture


def refuse_unmarked(paths: Iterable[str | os.PathLike]) -> None:
    """Files of an earlier run may be written again, others not.

    Raises:
        UserError: something is at one of ``paths`` that :func:`marked` has not marked.
    """
    for path in map(Path, paths):
        if not path.exists():
            continue
        with contextlib.suppress(OSError), path.open('rb') as file:
            if path.is_file() and MARK in file.read(PNG_HEAD + 64):
                continue
        raise UserError(f"'{path}' was there before and is not of an earlier test: it would be overwritten; "
                        'name another folder')


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Encode ``image``, uint8 (H W) or BGR (H W 3), by the suffix of ``path`` and write it, see
    :func:`marked`.

    Raises:
        UserError: a suffix that is no image format, or the file cannot be written.
    """
    try:
        done, encoded = cv2.imencode(Path(path).suffix or '?', image)
    except cv2.error:
        done = False
    if not done:
        raise UserError(f"cannot write the image '{path}': use a file name that ends in .png or .jpg")
    write_bytes(path, marked(encoded.tobytes()))


def output_names(names: Iterable[str | os.PathLike], suffix: str, flat: bool = False) -> list[str]:
    """A name for the output of each input, none of them twice: the input's with its sub-folders and
    ``suffix`` in the place of its own. Inputs that differ in their suffix alone keep it (x.jpg.png and
    x.png.png).

    Args:
        names: of the inputs, relative to one folder.
        flat: without sub-folders, as benchmark servers want it, if no two names are the same then.

    Raises:
        UserError: two inputs would be written to one file all the same.
    """
    paths = [Path(os.path.normpath(name)) for name in names]
    if flat and len({path.stem for path in paths}) == len(paths):
        paths = [Path(path.name) for path in paths]
    stems = Counter(path.with_suffix('') for path in paths)
    found = [f'{path}{suffix}' if stems[path.with_suffix('')] > 1 else str(path.with_suffix(suffix))
             for path in paths]
    [(first, most)] = Counter(found).most_common(1) or [('', 0)]
    if most > 1:
        raise UserError(f"two inputs would be written to '{first}': rename one of them")
    return found


def unused_path(path: str | os.PathLike) -> str:
    """``path``, or with _2, _3, ... before its suffix if a file of that name is there already."""
    path = Path(path)
    names = itertools.chain([path], (path.with_name(f'{path.stem}_{n}{path.suffix}')
                                     for n in itertools.count(2)))
    return str(next(p for p in names if not p.exists()))


def file_digest(path: str | os.PathLike) -> str:
    """sha256 of the file's bytes, in hexadecimal digits."""
    found = hashlib.sha256()
    with open(path, 'rb') as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()
