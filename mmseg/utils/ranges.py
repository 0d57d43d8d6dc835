"""Numbers of a config that have to lie in a range."""
from __future__ import annotations

import math
from typing import Any

from .errors import ConfigError

INFINITY = math.inf


def check_ranges(prefix: str, limits: tuple[float, float] = (0, INFINITY), /, **values: Any) -> None:
    """``check_range`` of several keys with the same limits; ``prefix`` stands before their names."""
    for name, value in values.items():
        check_range(value, f'{prefix}{name}', *limits)


def check_range(value: Any, where: str, low: float = -INFINITY, high: float = INFINITY, *,
                above: float | None = None) -> None:
    """Whether low ≤ ``value`` ≤ high, and value > ``above`` if that is given.

    Args:
        where: the key, for the message.

    Raises:
        ConfigError: it is not, or it is no number.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and not math.isnan(value)
    if is_number and low <= value <= high and (above is None or value > above):
        return
    if above is not None:
        expected = f'a number above {above:g}' + (f' and at most {high:g}' if high < INFINITY else '')
    elif high < INFINITY:
        expected = f'a number from {low:g} to {high:g}'
    else:
        expected = f'a number from {low:g} on'
    raise ConfigError(f'{where} is {value!r}, expected {expected}')
