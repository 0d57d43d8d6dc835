"""How two configs differ."""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def flatten(node: dict, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """('a.b', value) of every leaf; an empty dict is one."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def differences(base: dict, cfg: dict) -> list[str]:
    """One line for each key that ``cfg`` adds (+), drops (-) or changes (~)."""
    old, new = dict(flatten(base)), dict(flatten(cfg))
    lines = []
    for key in sorted({*old, *new}):
        if key not in old:
            lines.append(f'+ {key} = {new[key]!r}')
        elif key not in new:
            lines.append(f'- {key} (was {old[key]!r})')
        elif old[key] != new[key]:
            lines.append(f'~ {key} = {new[key]!r} (was {old[key]!r})')
    return lines
