"""Listing folders and reading text as people leave them; a refusal of the system is an error, no gap."""
from __future__ import annotations

import codecs
import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from .errors import BadFile, UserError
from .logger import get_root_logger

ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
KINDS = {stat.S_IFIFO: 'a pipe', stat.S_IFCHR: 'a device', stat.S_IFBLK: 'a device',
         stat.S_IFSOCK: 'a socket', stat.S_IFDIR: 'a folder'}
# Longer marks first: that of UTF-16 begins that of UTF-32.
MARKS = ((codecs.BOM_UTF32_LE, 'utf-32'), (codecs.BOM_UTF32_BE, 'utf-32'), (codecs.BOM_UTF8, 'utf-8-sig'),
         (codecs.BOM_UTF16_LE, 'utf-16'), (codecs.BOM_UTF16_BE, 'utf-16'))


def is_folder(path: str | os.PathLike) -> bool:
    """Whether a folder is there; unlike ``os.path.isdir``, not False where one may not look.

    Raises:
        UserError: the system does not tell.
    """
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in ABSENT:
            return False
        raise UserError(f'cannot look at {path}: {error.strerror}') from None


def require_regular(path: str, what: str) -> None:
    """Raises:
        BadFile: ``path`` is no file that ends, such as a pipe, which whoever opens it would wait for.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise BadFile(f'the {what} {path} is {KINDS.get(stat.S_IFMT(mode), "no file")}, not a regular file')


def walk_files(folder: str | os.PathLike, suffixes: str | tuple[str, ...]) -> Iterator[str]:
    """Names relative to ``folder`` of the files below it that end with one of ``suffixes``; hidden ones are
    left out.

    Links to folders are followed, except to one that the link lies in. Pipes and devices are passed over with
    a warning; a link that leads nowhere is a name like others, and reading it an error.

    Raises:
        UserError: a folder cannot be listed.
    """
    for name, entry in walk_tree(folder):
        if entry.name[0] != '.' and name.endswith(suffixes) and _is_file(entry):
            yield name


def walk_tree(folder: str | os.PathLike, refused: str = 'error') -> Iterator[tuple[str, os.DirEntry]]:
    """(name relative to ``folder``, entry) of all below it that is no folder, sorted in each folder.

    Args:
        folder: links in it are followed as :func:`walk_files` does. Where there is none, nothing lies below.
        refused: folders that cannot be listed are an 'error', or 'skipped'.
    """
    if not is_folder(folder):
        return iter(())
    real = Path(os.path.realpath(folder))
    return _walk(folder, '', frozenset(_identity(place) for place in (real, *real.parents)), refused)


def _walk(place: str | os.PathLike[str], prefix: str, above: frozenset[tuple[int, int]], refused: str
          ) -> Iterator[tuple[str, os.DirEntry[str]]]:
    try:
        with os.scandir(os.fspath(place)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        if refused == 'skipped':
            return
        raise UserError(f'cannot list the folder {place}: {error.strerror}') from None
    for entry in entries:
        link = entry.is_symlink()
        if not (is_folder(entry.path) if link else entry.is_dir(follow_symlinks=False)):
            yield prefix + entry.name, entry
        elif (here := _identity(entry.path)) not in above:
            yield from _walk(entry.path, f'{prefix}{entry.name}/', above | {here}, refused)


def _identity(path: str | os.PathLike) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError as error:
        raise UserError(f'cannot look at {path}: {error.strerror}') from None
    return status.st_dev, status.st_ino


def _is_file(entry: os.DirEntry) -> bool:
    if entry.is_file(follow_symlinks=False):  # known without asking the disk
        return True
    try:
        require_regular(entry.path, 'entry')
    except OSError as error:
        if error.errno not in ABSENT:
            raise UserError(f'cannot look at {entry.path}: {error.strerror}') from None
    except BadFile as reason:
        get_root_logger().warning(f'{reason}: passed over')
        return False
    return True


def read_lines(path: str, what: str) -> list[str]:
    """The lines of a text file that are not empty, without white space around them. With a byte order mark it
    may be UTF-8, UTF-16 or UTF-32, without one it has to be UTF-8.

    Raises:
        UserError: no such file, or another encoding; ``what`` the file is stands in the message.
    """
    try:
        require_regular(path, what)
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f'the {what} {path} does not exist') from None
    except OSError as error:
        raise UserError(f'cannot read the {what} {path}: {error.strerror}') from None
    encoding = next((name for mark, name in MARKS if content.startswith(mark)), 'utf-8')
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b'\n', 0, error.start) + 1
        raise UserError(f'the {what} {path} is not {encoding.upper()} text (line {line}): '
                        'save it as UTF-8') from None
    if '\0' in text:
        raise UserError(f'the {what} {path} holds zero bytes, as UTF-16 without a mark does: '
                        'save it as UTF-8')
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    return [line.strip() for line in lines if line.strip()]


def without_repeats(names: list[str], source: str) -> list[str]:
    """``names``, each once, in order; those that are there again are told in a warning."""
    once = list(dict.fromkeys(names))
    if len(once) < len(names):
        again = next(name for name, count in Counter(names).items() if count > 1)
        get_root_logger().warning(f"{source} names {len(names) - len(once)} things again, such as '{again}': "
                                  'each is taken once')
    return once
