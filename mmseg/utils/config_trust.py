"""What of a config is run as code, told before it is run.

Configs are Python code: a ``.py`` file, its ``_base_`` files and the modules of ``custom_imports`` run with
the
rights of whoever reads them. A ``.json`` or ``.yaml`` file is data, but may name such files and modules.
"""
from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from .logger import get_root_logger
from .project import PROJECT

READERS: dict[str, Callable[[str], Any]] = {
    '.json': json.loads, '.yaml': yaml.safe_load, '.yml': yaml.safe_load}


def code_in(path: str | os.PathLike, seen: frozenset[Path] = frozenset()) -> Iterator[str]:
    """What reading the config ``path`` would run: its own Python file, those of its ``_base_``, the modules
    that a data file wants imported. Nothing is run to find out; a file that cannot be read is left to the
    reader."""
    path = Path(path).resolve()
    if path in seen or not path.is_file():
        return
    if path.suffix == '.py':
        yield f"'{path}'"
        return
    try:
        content = READERS.get(path.suffix, json.loads)(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, yaml.YAMLError):
        return
    if not isinstance(content, Mapping):
        return
    for module in imports_of(content):
        yield f"the module '{module}' (custom_imports of '{path}')"
    for base in _listed(content.get('_base_')):
        yield from code_in(path.parent / str(base), seen | {path})


def is_own(path: str | os.PathLike) -> bool:
    """Whether a config is the user's own: one of the project's ``configs/``, or below the current folder or
    the project and not in the folder of a checkpoint, which may have come from anywhere."""
    path = Path(path).resolve()
    if path.is_relative_to(PROJECT / 'configs'):
        return True
    near = path.is_relative_to(PROJECT) or path.is_relative_to(Path.cwd())
    return near and not any(path.parent.glob('*.pth'))


def warn_of_code(path: str | os.PathLike, trust: bool = False) -> None:
    """A warning for each piece of somebody else's code that reading the config ``path`` is about to run.

    Args:
        trust: the user has said that the code is to be trusted; nothing is told.
    """
    if trust or is_own(path):
        return
    for code in dict.fromkeys(code_in(path)):
        get_root_logger().warning(f'{code} is Python code of another folder and runs now, with your rights: '
                                  'configs are code; --trust leaves this warning out')


def imports_of(content: Mapping) -> list[str]:
    """The modules that a config, whatever stands in it, wants imported."""
    wanted = content.get('custom_imports')
    return [str(name) for name in _listed(wanted.get('imports') if isinstance(wanted, Mapping) else None)]


def _listed(value: Any) -> list:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]
