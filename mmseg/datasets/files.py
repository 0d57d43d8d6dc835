"""Finding and writing files of data sets."""
from __future__ import annotations

import io
import json
import os
import os.path as osp
from collections.abc import Sequence
from typing import Any

from PIL import Image

from mmseg.utils import UserError
from mmseg.utils.files import marked, write_bytes
from mmseg.utils.reading import is_folder, walk_files


def join_root(root: str | None, path: str | None) -> str | None:
    """``path`` below ``root``, unless it is None or absolute."""
    if path is None or root is None or osp.isabs(path):
        return path
    return osp.join(root, path)


def require_dir(path: str, what: str, download: str | None = None) -> None:
    """Raises:
        UserError: ``path`` is no folder; says which of its parents exists, and what to ``download``.
    """
    if is_folder(path):
        return
    parent = osp.abspath(path)
    while not osp.isdir(parent):
        parent = osp.dirname(parent)
    inside = names_in(parent)[:8]
    raise UserError(f'the {what} {path} does not exist ({parent} holds: '
                    f'{", ".join(inside) or "nothing"}); '
                    f'put the data there{f" ({download})" if download else ""} or set data_root / '
                    'img_dir / ann_dir in the config')


def require_inside(path: str, roots: Sequence[str], source: str) -> None:
    """A list of files, which may come from anybody, must not make us open others. Links inside a root
    are its owner's and may lead anywhere.

    Raises:
        UserError: ``path`` is below none of ``roots``; names the file ``source`` that it stands in.
    """
    path, roots = osp.abspath(path), [osp.abspath(root) for root in roots]
    if not any(osp.commonpath([root, path]) == root for root in roots):
        raise UserError(f'{source} names {path}, which is outside of {roots[-1]}: use names of files inside')


def names_in(folder: str) -> list[str]:
    """What lies in a folder, sorted.

    Raises:
        UserError: it cannot be listed.
    """
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise UserError(f'cannot list the folder {folder}: {error.strerror}') from None


def find_files(folder: str, suffix: str, what: str | None) -> list[str]:
    """Names relative to ``folder`` of all files below it that end with ``suffix``, sorted; see
    :func:`mmseg.utils.reading.walk_files` for links, pipes and hidden files.

    Raises:
        UserError: a folder cannot be listed; or there is no file, and ``what`` they are is given.
    """
    names = sorted(walk_files(folder, suffix))
    if not names and what is not None:
        other = min(walk_files(folder, ''), default=None)
        there = f' (it holds {other})' if other else ''
        raise UserError(f'no {what} ending with {suffix} in {folder}{there}')
    return names


def write_text(path: str, text: str) -> None:
    """Write ``text`` atomically, unless the file holds just that already."""
    data = text.encode()
    if osp.isfile(path):
        with open(path, 'rb') as file:
            if file.read() == data:
                return
    write_bytes(path, data)


def write_json(path: str, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2))


def write_label_picture(path: str, picture: Image.Image) -> None:
    """Write the PNG of a prediction at once, marked as ours; see :func:`mmseg.utils.files.marked`.

    Raises:
        UserError: the file cannot be written.
    """
    content = io.BytesIO()
    picture.save(content, format='PNG')
    write_bytes(path, marked(content.getvalue()))
