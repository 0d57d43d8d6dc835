"""Building objects from config dicts, with errors that name the key and its nearest relative."""
from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import torch
from mmcv.utils import Registry

from .errors import UserError, did_you_mean


def accepted_keys(obj: Any) -> set[str] | None:
    """Names of the keyword arguments that a class or function takes; None if it takes any.

    ``**kwargs`` of a constructor is followed through the bases that it is handed on to.
    """
    inits = [c.__init__ for c in obj.__mro__ if '__init__' in vars(c)] if inspect.isclass(obj) else [obj]
    names: set[str] = set()
    for init in inits:
        if init is object.__init__:
            return names
        params = inspect.signature(init).parameters.values()
        names |= {p.name for p in params
                  if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != 'self'}
        if not any(p.kind is p.VAR_KEYWORD for p in params):
            return names
    return None


def build_from_cfg(cfg: dict, registry: Registry, default_args: dict | None = None) -> Any:
    """Build the object that ``cfg`` describes, leaving ``cfg`` as it is.

    Args:
        cfg: a dict with the key ``type`` (a registered name, or a class) and keyword arguments.
        registry: where the name is looked up.
        default_args: arguments used where ``cfg`` has none.

    Raises:
        UserError: no or unknown ``type``, an unknown or a missing key, or values with which it cannot be
            built.
    """
    obj = find_type({**(default_args or {}), **cfg} if isinstance(cfg, dict) else cfg, registry)
    kwargs = {**copy.deepcopy(default_args or {}), **copy.deepcopy(dict(cfg))}
    kwargs.pop('type')
    where = f"{registry.name} '{obj.__name__}'"
    _check_call(obj, kwargs, where)
    with settings_blamed(f'{where} cannot be built with these settings'):
        return obj(**kwargs)


@contextlib.contextmanager
def settings_blamed(what: str) -> Iterator[None]:
    """Inside the block, what code raises for a value that it cannot use becomes a UserError, which begins
    with ``what``. MMSEG_TRACEBACK=1 shows where."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
            ValueError) as error:
        raise UserError(f'{what} ({type(error).__name__}: {error})') from error


def find_type(cfg: dict, registry: Registry) -> Any:
    """The class or function that ``cfg['type']`` names, or is.

    Raises:
        UserError: no or unknown ``type``; names the nearest one.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise UserError(f"config of a {registry.name} must be a dict with the key 'type', got {cfg!r}")
    kind = cfg['type']
    obj = registry.get(kind) if isinstance(kind, str) else kind
    if obj is None or not callable(obj):
        raise UserError(f"unknown {registry.name} type '{kind}': "
                        f'{did_you_mean(kind, registry.module_dict)}')
    return obj


def check_keys(given: Iterable[str], known: Collection[str], where: str) -> None:
    """Raises:
        UserError: a key that is not ``known``; names the nearest one.
    """
    for key in given:
        if key not in known:
            raise UserError(f"unknown key '{key}' in {where}: {did_you_mean(key, known)}")


def _check_call(obj: Any, kwargs: dict, where: str) -> None:
    known = accepted_keys(obj)
    if known is not None:
        check_keys(kwargs, known, where)
    for param in inspect.signature(obj).parameters.values():
        required = param.default is param.empty and param.kind in (
            param.POSITIONAL_OR_KEYWORD, param.KEYWORD_ONLY)
        if required and param.name not in kwargs:
            raise UserError(f"key '{param.name}' is missing in {where}")
