"""Building objects from config dicts, with errors that name the key and its nearest relative."""
from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, get_type_hints

from mmcv.utils import Registry
from typeguard import CollectionCheckStrategy, ForwardRefPolicy, TypeCheckError, check_type

from .errors import ConfigError, did_you_mean

# Libraries that take what they are given and fail at it in their own ways.
LIBRARIES = frozenset({'mmcv', 'torch', 'torchvision', 'timm', 'kornia'})
VALUE_ERRORS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError,
ValueError)


def accepted_keys(obj: Any) -> set[str] | None:
    """Names of the keyword arguments that a class or function takes; None if it takes any.

    ``**kwargs`` of a constructor is followed through the bases that it is handed on to. A class that hands
    them on to another object has an attribute ``hands_keys_on``, and looks at them itself.
    """
    if getattr(obj, 'hands_keys_on', False):
        return None
    inits = _constructors(obj)
    names: set[str] = set()
    for init in inits:
        if init is object.__init__:
            return names
        params = _parameters(init)
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
        ConfigError: no or unknown ``type``, an unknown or a missing key, or values with which it cannot be
            built.
    """
    obj = find_type({**(default_args or {}), **cfg} if isinstance(cfg, dict) else cfg, registry)
    kwargs = {**copy.deepcopy(default_args or {}), **copy.deepcopy(dict(cfg))}
    kwargs.pop('type')
    where = f"{registry.name} '{obj.__name__}'"
    if inspect.isabstract(obj):
        missing = ', '.join(sorted(obj.__abstractmethods__))
        raise ConfigError(f'{where} has no {missing}, which its base class leaves to it')
    _check_call(obj, kwargs, {*kwargs} - {*cfg}, where)
    check_types(obj, kwargs, where)
    errors = VALUE_ERRORS if obj.__module__.split('.')[0] in LIBRARIES else (ValueError,)
    with config_error_context(f'{where} cannot be built with these settings', errors):
        try:
            return obj(**kwargs)
        except TypeError as error:
            if _is_of_bases_arguments(error, obj):
                raise ConfigError(f'{where}: {error}') from error
            raise


def _is_of_bases_arguments(error: TypeError, obj: Any) -> bool:
    """Whether it says that the constructor of a base class, to which ``**kwargs`` of ``obj`` go, lacks an
    argument or has one twice. What a subclass adds to them cannot be seen from outside."""
    found = re.match(r'(?:[\w.<>]+\.)?(\w+)\.__init__\(\) (missing|got multiple values)', str(error))
    return found is not None and found[1] in [kind.__name__ for kind in getattr(obj, '__mro__', ())[1:]]


@contextlib.contextmanager
def config_error_context(what: str, errors: tuple[type[Exception], ...] = (ValueError,)) -> Iterator[None]:
    """Inside the block, ``errors`` are about values of a config: they become a ConfigError that begins with
    ``what``.
    Everything else is a bug, and keeps its traceback.

    Args:
        errors: what the code inside raises for a value that it cannot use. ValueError by convention; of
        libraries that
            do not look at their arguments, VALUE_ERRORS.
    """
    try:
        yield
    except errors as error:
        raise ConfigError(f'{what} ({type(error).__name__}: {error})') from error


def check_types(obj: Any, kwargs: Mapping[str, Any], where: str) -> None:
    """Whether values are of the types that the constructor of ``obj`` is annotated with.

    Raises:
        ConfigError: one is not; names its key.
    """
    hints = _hints(obj)
    for key, value in kwargs.items():
        if key not in hints or _fits(value, hints[key]):
            continue
        expected = getattr(hints[key], '__name__', None) if isinstance(hints[key], type) else hints[key]
        raise ConfigError(f"{key} of {where} is {value!r}, expected {str(expected).replace('typing.', '')}")


@functools.cache
def _parameters(obj: Any) -> tuple[inspect.Parameter, ...]:
    return tuple(inspect.signature(obj).parameters.values())


def _constructors(obj: Any) -> list[Any]:
    """Those of a class and its bases; a function is its own."""
    if not inspect.isclass(obj):
        return [obj]
    return [vars(kind)['__init__'] for kind in obj.__mro__ if '__init__' in vars(kind)]


def _hints(obj: Any) -> dict[str, Any]:
    """Annotations of the keyword arguments, those of bases included to which ``**kwargs`` go."""
    inits = _constructors(obj)
    hints: dict[str, Any] = {}
    for init in inits:
        hints = {**_own_hints(init), **hints}
        if not hasattr(init, '__code__') or not init.__code__.co_flags & inspect.CO_VARKEYWORDS:
            break
    hints.pop('return', None)
    return hints


@functools.cache
def _own_hints(init: Any) -> dict[str, Any]:
    try:
        return get_type_hints(init)
    # names that exist for type checkers alone, or no annotations at all
    except (NameError, TypeError, AttributeError):
        return {}


def _fits(value: Any, hint: Any) -> bool:
    """json writes tuples as lists, and a config may have whole numbers for floats."""
    for candidate in (value, tuple(value)) if isinstance(value, list) else (value,):
        try:
            check_type(candidate, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS,
                       forward_ref_policy=ForwardRefPolicy.IGNORE)
            return True
        except TypeCheckError:
            continue
    return False


def find_type(cfg: dict, registry: Registry) -> Any:
    """The class or function that ``cfg['type']`` names, or is.

    Raises:
        ConfigError: no or unknown ``type``; names the nearest one.
    """
    if not isinstance(cfg, dict) or 'type' not in cfg:
        raise ConfigError(f"config of a {registry.name} must be a dict with the key 'type', got {cfg!r}")
    kind = cfg['type']
    obj = registry.get(kind) if isinstance(kind, str) else kind
    if obj is None or not callable(obj):
        raise ConfigError(f"unknown {registry.name} type '{kind}': "
                        f'{did_you_mean(kind, registry.module_dict)} (the module of a part of your own '
                        'stands in custom_imports)')
    return obj


def check_keys(given: Iterable[str], known: Collection[str], where: str) -> None:
    """Raises:
        ConfigError: a key that is not ``known``; names the nearest one.
    """
    for key in given:
        if key not in known:
            raise ConfigError(f"unknown key '{key}' in {where}: {did_you_mean(key, known)}")


def _check_call(obj: Any, kwargs: dict, added: Collection[str], where: str) -> None:
    """
    Args:
        added: the keys of ``kwargs`` that no config has: whatever is built of its kind is given them.
    """
    known = accepted_keys(obj)
    if known is not None:
        check_keys([key for key in kwargs if key not in added], known, where)
        for key in sorted(added):
            if key not in known:
                raise ConfigError(f"{where} has no argument '{key}', which its constructor is given beside "
                                  'the keys of the config')
    for param in _parameters(obj):
        required = param.default is param.empty and param.kind in (
            param.POSITIONAL_OR_KEYWORD, param.KEYWORD_ONLY)
        if required and param.name not in kwargs:
            raise ConfigError(f"key '{param.name}' is missing in {where}")
