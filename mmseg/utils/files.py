"""Writing files so that nothing is ever half written, and nothing of a user's is replaced unasked."""
from __future__ import annotations

import contextlib
import itertools
import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .errors import UserError


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Write a whole file at once; a reader sees the old one or the new one. Makes the folder.

    Raises:
        UserError: the file cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.tmp{os.getpid()}')
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(data)
        os.replace(temporary, path)
    except OSError as error:
        raise UserError(f"cannot write '{path}': {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write ``value`` as indented JSON, as :func:`write_bytes` does."""
    write_bytes(path, (json.dumps(value, indent=1) + '\n').encode())


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Encode ``image``, uint8 (H W) or BGR (H W 3), by the suffix of ``path`` and write it.

    Raises:
        UserError: a suffix that is no image format, or the file cannot be written.
    """
    try:
        done, encoded = cv2.imencode(Path(path).suffix or '?', image)
    except cv2.error:
        done = False
    if not done:
        raise UserError(f"cannot write the image '{path}': use a file name that ends in .png or .jpg")
    write_bytes(path, encoded.tobytes())


def unused_path(path: str | os.PathLike) -> str:
    """``path``, or with _2, _3, ... before its suffix if a file of that name is there already."""
    path = Path(path)
    names = itertools.chain([path], (path.with_name(f'{path.stem}_{n}{path.suffix}')
                                     for n in itertools.count(2)))
    return str(next(p for p in names if not p.exists()))
