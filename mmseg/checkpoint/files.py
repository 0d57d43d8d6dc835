"""The checkpoint files of a run: written whole, verified, found again after whatever ended it."""
from __future__ import annotations

import contextlib
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from mmseg.utils.errors import CheckpointError, UserError
from mmseg.utils.files import atomic_file, left_behind, replacing

from .safe_load import damaged, read_pickled, refuse_inflated
from .validate import checked_meta

# of the meta data: the step after which an evaluation failed, which the resumed run makes up for
EVALUATION_DUE = 'evaluation_due'
STEP_NAME = re.compile(r'iter_(\d+)\.pth')


def write_whole(path: str | os.PathLike, write: Callable[[BinaryIO], Any],
                verify: Callable[[str], Any] | None = None) -> None:
    """Write a file so that at any moment either the old or the new one is there, and whole.

    The content goes to a temporary file, to the disk (fsync), through ``verify``, and only then under
    its name.

    Args:
        write: is given the open file.
        verify: is given the temporary file's path, to read it again; raises if something is wrong.

    Raises:
        UserError: it cannot be written (a full disk, say). The old file is as it was, and nothing else
            is left behind.
    """
    with atomic_file(path) as file:
        with _disk_errors_alone():
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if hasattr(os, 'posix_fadvise'):  # what is verified shall come from the disk
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if verify is not None:
            verify(file.name)
    _sync_folder(os.path.dirname(os.path.abspath(path)))


@contextlib.contextmanager
def _disk_errors_alone() -> Iterator[None]:
    """torch's writer hides a disk error behind an error of its own, on the way out of which the first is
    still known."""
    try:
        yield
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, OSError):
                raise cause from error
            cause = cause.__cause__ or cause.__context__
        raise


def _sync_folder(folder: str) -> None:
    """Put a new name on the disk; some file systems refuse that."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def verify_file(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint again: every byte against the checksum written with it, and the structure as data
    (the tensors are mapped, not loaded).

    Returns:
        its content.

    Raises:
        CheckpointError: it is damaged, cut off, or no checkpoint.
    """
    path = str(path)
    try:
        # the format of the reference implementation's oldest files has no checksums
        if not zipfile.is_zipfile(path):
            return _dict_in(read_pickled(path), path)
        refuse_inflated(path)
        with zipfile.ZipFile(path) as archive:
            bad_entry = archive.testzip()
    except UserError:
        raise
    except Exception as error:  # the reader was not written for damaged files
        raise damaged(path, error) from error
    if bad_entry is not None:
        raise CheckpointError(f"checkpoint '{path}' is damaged (in {bad_entry}): copy or download it again")
    return _dict_in(read_pickled(path, mmap=True), path)


def _dict_in(content: Any, path: str) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise CheckpointError(f"checkpoint '{path}' holds a {type(content).__name__}, expected a dict of "
                              f"weights")
    return content


def checkpoints_of(folder: str | os.PathLike) -> dict[int, Path]:
    """Step → ``iter_<step>.pth``, the latest first."""
    found = {int(match[1]): path for path in Path(folder).glob('iter_*.pth')
             if (match := STEP_NAME.fullmatch(path.name))}
    return dict(sorted(found.items(), reverse=True))


def newest_checkpoint(folder: str | os.PathLike, report: Callable[[str], Any]) -> Path | None:
    """The latest checkpoint in a run's folder from which the training can go on; None if it has none.

    Args:
        report: is told, one line each, which later ones had to be passed over.

    Raises:
        UserError: there are checkpoints, but not one of them can be read.
    """
    candidates = list(checkpoints_of(folder).values()) or [
        path for path in [Path(folder) / 'latest.pth'] if path.is_file()]
    reasons: list[str] = []
    for path in candidates:
        try:
            checked_meta(verify_file(path), str(path))
            for reason in reasons:
                report(f'{reason}; going on from {path.name}')
            return path
        except UserError as error:
            reasons.append(str(error))
    if reasons:
        raise UserError(f"no checkpoint in '{folder}' can be read ({len(reasons)} tried); the latest: "
                        f'{reasons[0]}; or move them away to start anew')
    return None


def remove_older(path: str | os.PathLike, keep: int) -> None:
    """Remove the earliest checkpoints beside ``path`` (an ``iter_<N>.pth``) so that ``keep`` up to it
    remain."""
    found = STEP_NAME.fullmatch(Path(path).name)
    assert found is not None, path
    step = int(found[1])
    older = [file for number, file in checkpoints_of(Path(path).parent).items() if number < step]
    for file in older[keep - 1:]:
        file.unlink(missing_ok=True)


def point_to(link: str | os.PathLike, target: str) -> None:
    """Let ``link`` name the file ``target`` beside it, atomically; a second name of it where links are not
    possible."""
    with replacing(link) as temporary:
        try:
            os.symlink(target, temporary)
        except OSError:
            os.link(os.path.join(os.path.dirname(link), target), temporary)


def remove_temporaries(folder: str | os.PathLike) -> None:
    """Remove what killed processes were writing in a run's folder."""
    for path in filter(left_behind, Path(folder).glob('*.tmp*')):
        path.unlink(missing_ok=True)
