"""Some runs of a table, by their methods, by parts of their names and by their seeds."""
from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.utils import UserError, did_you_mean


def method_of(cfg: Mapping[str, Any]) -> str:
    """The short name of a run's training method, of its resolved config.

    That of ``uda.type`` in lower case. DACS is told apart as the tables mean it: 'ebda' with the entropy
    balance, 'daformer' with rare class sampling or feature distance, else 'dacs'. Without adaptation it is
    'source-only' or 'target-only', after ``name_uda``, or ''.
    """
    uda = cfg.get('uda')
    if not uda:
        return str(cfg.get('name_uda', ''))
    name = str(uda.get('type', '')).lower()
    if name != 'dacs':
        return name
    if uda.get('entropy_balance'):
        return 'ebda'
    rare = cfg['data']['train'].get('rare_class_sampling')
    return 'daformer' if rare or uda.get('imnet_feature_dist_lambda', 0) > 0 else 'dacs'


def words(text: str) -> list[str]:
    """'ebda,daformer' as a list.

    Raises:
        argparse.ArgumentTypeError: there is none.
    """
    found = [word.strip() for word in text.split(',') if word.strip()]
    if not found:
        raise argparse.ArgumentTypeError('expected names with commas between them')
    return found


def seeds(text: str) -> list[int]:
    """'0,1' as numbers.

    Raises:
        argparse.ArgumentTypeError: not numbers.
    """
    try:
        return [int(word) for word in words(text)]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"expected numbers with commas between them, as 0,1, got '{text}'") from None


def selected(cfgs: Sequence[Mapping[str, Any]], only: Sequence[str] | None,
             of_seeds: Sequence[int] | None) -> list[int]:
    """The places in ``cfgs``, resolved configs, of the runs that are asked for; of a table, or of folders.

    Args:
        only: methods as :func:`method_of` names them, or parts of names between underscores, as 'segformer',
            'mitb5' or 'eb02x01'; a word that is a method of one of them means the method. None means all.
        of_seeds: None means all.

    Raises:
        UserError: a word or a seed that no run has, or no run that has both.
    """
    methods = [method_of(cfg) for cfg in cfgs]

    def matches(number: int, word: str) -> bool:
        if word in methods:
            return methods[number] == word
        return f'_{word}_' in f'_{cfgs[number]["name"]}_'

    for word in only or ():
        if not any(matches(number, word) for number in range(len(cfgs))):
            hint = did_you_mean(word, set(filter(None, methods)))
            raise UserError(f"--only: no run is '{word}': {hint}, or a part of a name")
    there = sorted({cfg['seed'] for cfg in cfgs}, key=str)
    for seed in of_seeds or ():
        if seed not in there:
            raise UserError(f'--seeds: no run has seed {seed}, there are '
                            f'{", ".join(map(str, there))}')
    places = [number for number, cfg in enumerate(cfgs)
              if (of_seeds is None or cfg['seed'] in of_seeds)
              and (only is None or any(matches(number, word) for word in only))]
    if not places:
        raise UserError('--only and --seeds: no run has both')
    return places
