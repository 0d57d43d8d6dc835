"""A config's text read as data: nothing of it is run."""
from __future__ import annotations

import ast
import math
from typing import Any

from mmcv import Config

from .errors import ConfigError

NUMBERS = {'inf': math.inf, 'nan': math.nan}


def config_of_text(text: str, source: str) -> Config:
    """The config that a training wrote down as ``key = value`` lines of Python, as checkpoints keep it.

    Args:
        text: values are literals and ``dict(…)`` of them.
        source: where it stands, for the message.

    Raises:
        ConfigError: it is no such text, or would have to be run to be known.
    """
    try:
        return Config(dict(_setting(statement) for statement in ast.parse(text).body))
    # KeyError: mmcv's Config keeps some names for itself
    except (SyntaxError, ValueError, RecursionError, TypeError, KeyError) as error:
        raise ConfigError(f"the config kept in '{source}' is more than plain settings ({error}): pass "
                          'config=, the file of it') from None


def _setting(statement: ast.stmt) -> tuple[str, Any]:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, _value(value)
    raise ValueError(f'line {statement.lineno}')


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=pairs) if all(pair.arg for pair in pairs):
            return {pair.arg: _value(pair.value) for pair in pairs}
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as inner], keywords=[]):
            return _value(inner)
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
