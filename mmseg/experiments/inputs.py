"""What a stage of an experiment takes from earlier ones, and whether it is what the stage was begun with."""
from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from mmseg.utils.errors import UserError
from mmseg.utils.files import file_digest, write_json

INPUTS = 'inputs.json'  # in the folder of a stage: path → identity
RUN_FOLDER = re.compile(r'^.*/(?=\d{6}_\d{4}_[^/]+_[0-9a-f]{5}(?:/|$))')


def placeless(node: Any) -> Any:
    """``node`` with the paths in it that lead into the folder of a run cut down to that folder's name, which
    is its own wherever it lies."""
    if isinstance(node, dict):
        return {key: placeless(value) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [placeless(value) for value in node]
    return RUN_FOLDER.sub('', node) if isinstance(node, str) else node


def identities(paths: Sequence[Path]) -> dict[str, str | None]:
    """Placeless path → which content it has: a file's is that of its bytes, a folder's that of the names,
    sizes and times of the files in it; None: it is not there."""
    return {placeless(str(path)): _identity(path) for path in paths}


def _identity(path: Path) -> str | None:
    if path.is_file():
        status = path.stat()
        return _digest_once(path, status.st_size, status.st_mtime_ns)
    if not path.is_dir():
        return None
    files = sorted(file for file in path.rglob('*') if file.is_file())
    listing = [(str(file.relative_to(path)), (status := file.stat()).st_size, status.st_mtime_ns)
               for file in files]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


@cache
def _digest_once(path: Path, size: int, time: int) -> str:
    """Checkpoints have gigabytes, and several stages may begin with the same one."""
    return file_digest(path)


def kept_inputs(folder: Path) -> dict[str, str | None] | None:
    """What the stage in a folder was begun with; None before it has begun."""
    path = folder / INPUTS
    return json.loads(path.read_text(encoding='utf-8')) if path.is_file() else None


def keep_inputs(folder: Path, paths: Sequence[Path]) -> None:
    """Write down, as the stage in a folder begins, which content its inputs have.

    Raises:
        UserError: one is not there, or is not the one with which the stage was begun.
    """
    if not paths:
        return
    found, kept = identities(paths), kept_inputs(folder)
    for path, content in zip(paths, found.values()):
        if content is None:
            raise UserError(f"'{path}', which an earlier stage makes, is not there: start the "
                            'experiment again')
    if kept is None:
        write_json(folder / INPUTS, found)
    elif kept != found:
        raise UserError(f"'{folder}' was begun with another content of {', '.join(map(str, paths))}: start "
                        'the experiment again, which makes this stage anew')
