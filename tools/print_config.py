"""Print a config as a run would use it: its bases merged, its options applied, older keys renamed.

    python -m tools.print_config configs/daformer/CONFIG.py --options data.samples_per_gpu=1
"""
from __future__ import annotations

import argparse
import gc
import json
import sys
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.utils import ArgumentParser, UserError, did_you_mean, one_line_errors
from mmseg.utils.config import Config, load_config, parse_options
from mmseg.utils.config_text import text_of_config


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='.py or .json')
    parser.add_argument('--options', '--cfg-options', nargs='+', action='extend', metavar='KEY=VALUE',
                        dest='options',
                        help='change the config, e.g. runner.max_iters=10')
    parser.add_argument('--key', help='only this part, e.g. model.decode_head')
    parser.add_argument('--json', action='store_true', help='as JSON, not as Python')
    return parser.parse_args(argv)


def part_of(cfg: Config, dotted: str) -> Any:
    """The value at a dotted key; numbers count in lists.

    Raises:
        UserError: there is none.
    """
    value: Any = cfg._cfg_dict
    for key in dotted.split('.'):
        try:
            value = value[int(key)] if isinstance(value, (list, tuple)) else value[key]
        except (KeyError, TypeError, IndexError, ValueError) as error:
            known = value.keys() if isinstance(value, dict) else []
            raise UserError(f"--key {dotted}: there is no '{key}', {did_you_mean(key, known)}") from error
    return value


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args.config, parse_options(args.options))
    if args.key:
        value = part_of(cfg, args.key)
        cfg = Config({args.key.rpartition('.')[2]: value})
    print(json.dumps(cfg._cfg_dict, indent=1) if args.json else text_of_config(cfg).rstrip())


if __name__ == '__main__':
    main()
