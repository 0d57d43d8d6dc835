"""Make the tables and figures of docs/results.md anew from docs/results/*.json.

    python tools/summarize.py --exp 901 --json docs/results/901.json      (from the folders of the runs)
    python -m tools.results_tables [--page docs/results.md] [--check]

``--check`` changes nothing and fails where a table is not what its data say, or a figure is of other data.
"""
from __future__ import annotations

import argparse
import gc
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.report.collected import with_earlier
from mmseg.report.figures import digest, draw, figures_of
from mmseg.report.results import with_tables
from mmseg.utils import ArgumentParser, DataError, UserError, one_line_errors
from mmseg.utils.files import write_bytes

PAGE = Path(__file__).resolve().parents[1] / 'docs' / 'results.md'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--page', type=Path, default=PAGE, metavar='FILE',
                        help='with places for tables; its data lie beside it in a folder of its name')
    parser.add_argument('--check', action='store_true', help='change nothing; fail where a table differs')
    return parser.parse_args(argv)


def read_results(folder: Path, name: str) -> dict[str, Any]:
    """The results of experiment ``name``, or, for '900_904', those of the first with the runs of the others
    that it has not."""
    first, *others = (_read(folder, one) for one in name.split('_'))
    for other in others:
        first = with_earlier(first, other)
    return first


def _read(folder: Path, name: str) -> dict[str, Any]:
    path = folder / f'{name}.json'
    try:
        return json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        raise DataError(f"'{path}' cannot be read: {error}; tools/summarize.py --exp {name} --json FILE "
                        'writes it') from error


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        page = args.page.read_text(encoding='utf-8')
    except OSError as error:
        raise UserError(f"--page '{args.page}': {error.strerror}") from error
    folder = args.page.with_suffix('')
    results = partial(read_results, folder)
    made = with_tables(page, results)
    old = {name: place for name, place in figures_of(page).items()
           if not is_of_its_data(folder / name, results(place[0]))}
    if args.check and (made != page or old):
        raise UserError(f"'{', '.join([str(args.page)] * (made != page) + [*old])}': other than the data "
                        'say; python -m tools.results_tables makes tables and figures anew')
    if made != page:
        write_bytes(args.page, made.encode())
    for name, (id, kind) in old.items():
        write_bytes(folder / name, draw(kind, results(id)))


def is_of_its_data(figure: Path, results: dict[str, Any]) -> bool:
    """By the digest in it: the bytes are another matplotlib's, too."""
    return figure.is_file() and digest(results) in figure.read_text(encoding='utf-8')


if __name__ == '__main__':
    main()
