"""What a command line changes in the configs of an experiment."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.utils.config import Config, load_config
from mmseg.utils.errors import UserError, did_you_mean

from .stages import Row, is_program, refers

# top-level keys that a config may have beside those of its base files
OPTIONAL_KEYS = ('amp', 'compile', 'custom_hooks', 'deterministic', 'fp16', 'load_from',
                 'lr_config', 'n_gpus', 'resume_from', 'seed', 'tf32', 'use_ddp_wrapper')
OF_STAGES = 'stages.'


def changed(row: Row, options: Mapping[str, Any], roots: Sequence[str] = ()) -> Row:
    """``row`` with the command line's options and data folders.

    An option changes the row, each stage that is a training, and the ``config`` of a program, where they have
    its first key, but for values that earlier stages make; 'stages.NAME.KEY' changes one stage alone.

    Args:
        options: dotted key → value.
        roots: 'OLD=NEW' of data folders.

    Raises:
        UserError: as ``with_options`` and ``with_data_root``, or there is no such stage.
    """
    cfgs = {'': row.cfg, **{name: cfg for name, (cfg, _) in row.stages.items()}}
    for mapping in roots:
        cfgs = with_data_root(cfgs, mapping)
    chosen: dict[str, dict[str, Any]] = {name: {} for name in cfgs}
    for key, value in options.items():
        if key.startswith(OF_STAGES) and key.count('.') > 1:
            _, name, own = key.split('.', 2)
            if name not in row.stages:
                raise UserError(f"--options: '{row.cfg['name']}' has no stage '{name}': "
                                f'{did_you_mean(name, row.stages)}')
            chosen[name][own] = value
            continue
        # of a key that none has, the row tells
        places = {name: place for name, cfg in cfgs.items() if (place := _place(cfg, key))}
        for name, place in (places or {'': key}).items():
            chosen[name].setdefault(place, value)
    cfgs = {name: with_options(cfg, chosen[name]) for name, cfg in cfgs.items()}
    return Row(cfgs[''], row.base, {name: (cfgs[name], base) for name, (_, base) in row.stages.items()})


def _place(cfg: dict, key: str) -> str | None:
    """The key at which a config takes an option, a program in its ``config``; None: it does not."""
    if is_program(cfg):
        own = _place(cfg['config'], key) if 'config' in cfg else None
        return own and f'config.{own}'
    node: Any = cfg
    parts = key.split('.')
    for part in parts:
        node = node.get(part) if isinstance(node, Mapping) else None
    return key if not refers(node) and (parts[0] in cfg or parts[0] in OPTIONAL_KEYS) else None


def with_options(cfg: dict, options: dict[str, Any]) -> dict:
    """``cfg`` with dotted keys set.

    Raises:
        UserError: a first part that this config has not, or a path through what is no dict.
    """
    for key in options:
        first = key.split('.')[0]
        if first not in cfg and first not in OPTIONAL_KEYS:
            raise UserError(f"--options: '{cfg['name']}' has no key '{first}': "
                            f'{did_you_mean(first, {*cfg, *OPTIONAL_KEYS})}')
    return load_config(Config(cfg), options)._cfg_dict.to_dict()


def with_data_root(cfg: dict, mapping: str) -> dict:
    """``cfg`` with every ``data_root`` at or below folder OLD moved to NEW; ``mapping`` is 'OLD=NEW'.

    Raises:
        UserError: not of this form, or no data set lies below OLD.
    """
    old, separator, new = mapping.partition('=')
    if not (old and separator and new):
        raise UserError(f"--data-root: expected OLD=NEW, got '{mapping}'")
    roots: set[str] = set()

    def moved(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: move_path(value) if key == 'data_root' and isinstance(value, str)
                    else moved(value) for key, value in node.items()}
        return type(node)(map(moved, node)) if isinstance(node, (list, tuple)) else node

    def move_path(root: str) -> str:
        roots.add(root)
        path = Path(root)
        return str(Path(new) / path.relative_to(old)) if path.is_relative_to(old) else root

    result = moved(cfg)
    if not any(Path(root).is_relative_to(old) for root in roots):
        raise UserError(f"--data-root: no data set lies below '{old}', they are in "
                        f'{", ".join(sorted(roots)) or "no data_root"}')
    return result
