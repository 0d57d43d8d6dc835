"""Reading config files."""
from __future__ import annotations

import ast
import os
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any

import numpy as np
import yaml
from mmcv import Config, ConfigDict
from mmcv.fileio import BaseFileHandler
from mmcv.fileio.io import file_handlers

from .config_check import READ, check_config, check_options
from .errors import ConfigError
from .legacy import update_legacy_cfg
from .project import shipped

# Programs take Config from here: importing mmcv before mmseg would let its announcements out.
__all__ = ['Config', 'load_config', 'parse_options']


class _SafeYaml(BaseFileHandler):
    """In the place of mmcv's reader, with which a .yaml file can run anything."""

    def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
        return yaml.safe_load(file)

    def dump_to_fileobj(self, obj: Any, file: Any, **kwargs: Any) -> None:
        yaml.safe_dump(obj, file)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        return yaml.safe_dump(obj)


file_handlers.update(yaml=_SafeYaml(), yml=_SafeYaml())


def load_config(path: str | os.PathLike | Config, options: Mapping[str, Any] | None = None) -> Config:
    """Read a config of any age, Python, json or yaml (its safe part). A Python file, a ``_base_`` that is one
    and ``custom_imports`` are run, see ``config_trust``.

    Args:
        path: of the file, ``configs/…`` of the project from any folder; a Config that is read already is
            taken as it is.
        options: dotted key -> value, e.g. ``{'data.workers_per_gpu': 0}``, put over it.

    Raises:
        ConfigError: the file is missing, has a mistake in it, an option does not fit, or one of its own keys
            has a value of the wrong kind.
    """
    cfg = path if isinstance(path, Config) else plain(_read(path))
    own = {*cfg._cfg_dict}
    if options:
        for key, value in options.items():
            _make_room(cfg._cfg_dict, key.split('.'), value)
        try:
            cfg.merge_from_dict(dict(options))
        # AttributeError: mmcv asks a number for what only a dict has
        except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
            raise ConfigError(f'the options {dict(options)} do not fit the config: {error}') from error
    check_config(cfg._cfg_dict)
    check_options(options or (), own, cfg._cfg_dict)
    return update_legacy_cfg(cfg)


def plain(cfg: Config) -> Config:
    """``cfg`` with what Python's names stand for in place of what json cannot hold: lists for ranges, sets
    and
    arrays, text for paths. What is for config files alone goes: imported classes and functions, and names
    that begin with an underscore."""
    content = {key: _plain(value) for key, value in cfg._cfg_dict.items()
               if key in READ or not (callable(value) or key.startswith('_'))}
    # not ConfigDict.update, which would merge
    for key in [*cfg._cfg_dict]:
        del cfg._cfg_dict[key]
    for key, value in content.items():
        cfg._cfg_dict[key] = value
    return cfg


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ConfigDict({key: _plain(inner) for key, inner in value.items()})
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, (list, range)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return sorted(map(_plain, value), key=repr)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    return value


def _make_room(node: Any, parts: list[str], value: Any) -> None:
    """Let an option put a dict, or something in one, where the config has None or a plain value; mmcv
    asks for the key ``_delete_`` then."""
    first, *rest = parts
    if not isinstance(node, dict) or first not in node:
        return
    if rest:
        if node[first] is None:
            node[first] = ConfigDict()
        _make_room(node[first], rest, value)
    elif isinstance(value, Mapping) and not isinstance(node[first], Mapping):
        node[first] = ConfigDict()


def _read(path: str | os.PathLike) -> Config:
    path = shipped(path)
    if not os.path.isfile(path):
        raise ConfigError(f"the config '{path}' does not exist")
    try:
        return Config.fromfile(path)
    # a config is code of the user's: whatever it raises is the user's to mend
    except Exception as error:
        imports = any(frame.name == 'import_modules_from_strings'
                      for frame in traceback.extract_tb(error.__traceback__))
        _release(error)
        # mmcv raises an empty ImportError where a module of custom_imports fails
        reason = error if str(error) or error.__context__ is None else error.__context__
        told = f'{type(reason).__name__}: {reason}'
        if imports:
            raise ConfigError(f"custom_imports of the config '{path}' fail: {told} (modules are looked for "
                              'in the folders of PYTHONPATH)') from None
        raise ConfigError(f"the config '{path}' cannot be read: {told}") from None


def _release(error: Exception) -> None:
    """Let go of the temporary file that mmcv's reader was using. Its folder is gone by now, of which
    Python would complain with a traceback."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda unraisable: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


def parse_options(pairs: list[str] | None) -> dict[str, Any]:
    """['a.b=1', "c=[1,2]", 'd=text'] -> {'a.b': 1, 'c': [1, 2], 'd': 'text'}.

    A value is read as a Python literal if it is one, ``1,2`` as a list and true/false as a bool, as
    the reference implementation's option parser does; anything else is text.

    Raises:
        ConfigError: an option without '='.
    """
    options = {}
    for pair in pairs or []:
        key, equals, value = pair.partition('=')
        if not equals or not key:
            raise ConfigError(f"option '{pair}' must have the form key=value")
        options[key] = _parse_value(value)
    return options


def _parse_value(text: str) -> Any:
    if text.lower() in ('true', 'false'):
        return text.lower() == 'true'
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        # of [a,b] the shell has taken the quotes
        inner = text[1:-1] if re.fullmatch(r'\[[^][]*\]', text) else text
        return [_parse_value(part) for part in inner.split(',')] if ',' in text or inner != text else text
    # a bare 1,2 reads as a tuple; the reference's option is a list then, and (1,2) stays a tuple
    return list(value) if isinstance(value, tuple) and not text.lstrip().startswith('(') else value
