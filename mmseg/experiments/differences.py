"""How two configs differ."""
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from .runs import PLACE_KEYS

SHOWN = 3  # settings that differ, in the name of a row


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


def row_of(name: str) -> str:
    """The name of a config without its seed."""
    return re.sub(r'_s\d+$', '', name)


def variants(cfgs: Sequence[dict]) -> list[str]:
    """What tells each config from the first one of its name without the seed: ', runner.max_iters = 4', or ''
    where nothing does. Seeds, names and places make no difference. All settings are named where the first
    ``SHOWN`` do not tell it from the others."""
    first: dict[str, dict] = {}
    found: list[tuple[tuple[str, ...], list[str]]] = []
    longer: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for cfg in cfgs:
        settings = {key: value for key, value in without_places(cfg).items()
                    if key not in ('seed', 'exp', *PLACE_KEYS) and not key.startswith('name')}
        row = row_of(cfg['name'])
        other = [line.split(' (was ')[0].lstrip('~+- ')
                 for line in differences(first.setdefault(row, settings), settings)]
        short = (row, *other[:SHOWN], *['…'] * (len(other) > SHOWN))
        found.append((short, other))
        longer.setdefault(short, set()).add(tuple(other))
    return [''.join(f', {line}' for line in (short[1:] if len(longer[short]) == 1 else other))
            for short, other in found]


def without_places(node: Any) -> Any:
    """A config without what says where data lie and who loads them."""
    if isinstance(node, dict):
        return {key: without_places(value) for key, value in node.items()
                if key not in ('data_root', 'workers_per_gpu')}
    return [without_places(value) for value in node] if isinstance(node, (list, tuple)) else node
