"""A config as text: lines of Python, written for people and read as data. Nothing of them is run."""
from __future__ import annotations

import ast
import keyword
import math
import unicodedata
from collections.abc import Iterator
from typing import Any

from mmcv import Config

from .errors import ConfigError

NUMBERS = {'inf': math.inf, 'nan': math.nan}
WIDTH = 100


def text_of_config(cfg: Config) -> str:
    """The settings as ``key = value`` lines of Python, which mmcv and :func:`config_of_text` read. A key
    that is no name makes all of them one dict.

    mmcv's ``pretty_text`` takes a third of a second for it, and fails where a text has an apostrophe in it.
    """
    settings = cfg._cfg_dict
    if not all(map(_is_name, settings)):
        return _lines(settings) + '\n'
    return ''.join(f'{key} = {_lines(value, before=len(key) + 3)}\n' for key, value in settings.items())


def _is_name(key: Any) -> bool:
    """Whether Python reads it as the name that it is; it takes º for o."""
    return (isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key)
            and unicodedata.is_normalized('NFKC', key))


def _lines(value: Any, indent: int = 0, before: int = 0) -> str:
    """``value`` in one line, where it has room behind the ``before`` characters there, else its items each in
    its own."""
    flat = _flat(value)
    if indent + before + len(flat) < WIDTH or not isinstance(value, (dict, list, tuple)) or len(value) == 0:
        return flat
    opened, closed = _brackets(value)
    indent += 4
    items = (f'{" " * indent}{name}{_lines(item, indent, len(name))}' for name, item in _items(value))
    return opened + '\n' + ',\n'.join(items) + closed


def _flat(value: Any) -> str:
    if isinstance(value, (dict, list, tuple)):
        opened, closed = _brackets(value)
        return opened + ', '.join(name + _flat(item) for name, item in _items(value)) + closed
    if isinstance(value, float) and not math.isfinite(value):
        return f"float('{value}')"
    return repr(value)


def _brackets(value: dict | list | tuple) -> tuple[str, str]:
    if isinstance(value, dict):
        return ('dict(', ')') if all(map(_is_name, value)) else ('{', '}')
    if isinstance(value, list):
        return '[', ']'
    return '(', ',)' if len(value) == 1 else ')'


def _items(value: dict | list | tuple) -> Iterator[tuple[str, Any]]:
    """What stands before each item, and the item."""
    if not isinstance(value, dict):
        yield from (('', item) for item in value)
    elif all(map(_is_name, value)):
        yield from ((f'{key}=', item) for key, item in value.items())
    else:
        yield from ((f'{key!r}: ', item) for key, item in value.items())


def config_of_text(text: str, source: str) -> Config:
    """The config that a training wrote down as ``key = value`` lines of Python, as checkpoints keep it.

    Args:
        text: values are literals and ``dict(…)`` of them.
        source: where it stands, for the message.

    Raises:
        ConfigError: it is no such text, or would have to be run to be known.
    """
    try:
        return Config(dict(_settings(ast.parse(text).body)))
    # KeyError: mmcv's Config keeps some names for itself
    except (SyntaxError, ValueError, RecursionError, TypeError, KeyError) as error:
        raise ConfigError(f"the config kept in '{source}' is more than plain settings ({error}): pass "
                          'config=, the file of it') from None


def _settings(statements: list[ast.stmt]) -> Iterator[tuple[str, Any]]:
    for statement in statements:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, _value(value)
            case ast.Expr(value=ast.Dict() as settings):
                yield from _value(settings).items()
            case _:
                raise ValueError(f'line {statement.lineno}')


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=pairs) if all(pair.arg for pair in pairs):
            return {pair.arg: _value(pair.value) for pair in pairs}
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as inner], keywords=[]):
            return _value(inner)
        case ast.Call(func=ast.Name(id='float'), args=[ast.Constant(value=str(number))], keywords=[]):
            return float(number)
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {ast.literal_eval(key): _value(value) for key, value in zip(keys, values) if key}
        case ast.List(elts=items):
            return [_value(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_value(item) for item in items)
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Name(id=name)) if name in NUMBERS:
            return -NUMBERS[name]
        case ast.Constant() | ast.UnaryOp():
            return ast.literal_eval(node)
    raise ValueError(f'line {node.lineno}')
