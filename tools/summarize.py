"""Table of an experiment: the score of each config over its seeds, as mean and standard deviation.

    python tools/summarize.py --exp 22 [--metric mIoU] [--best] [--format csv] [--out FILE] [--json FILE]

The runs are those of run_experiments.py --exp ID with the same --options, on any machine; where their data
lay and how many processes loaded it do not matter. A score is the last evaluation's. What is not finished
is named below the table.
"""
from __future__ import annotations

import argparse
import csv
import io
import re
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import generate_experiment_cfgs, list_experiments, resolve
from mmseg.experiments.runs import FINISHED, as_text, read, state_of
from mmseg.report.logs import Curves, read_run
from mmseg.report.record import read_record
from mmseg.report.results import collect
from mmseg.utils import ArgumentParser, UserError, did_you_mean, one_line_errors
from mmseg.utils.config import Config, load_config, parse_options
from mmseg.utils.files import write_bytes, write_json

NO_RUN = 'not run'


class Score(NamedTuple):
    """Of one run; without ``value`` (0–1) ``note`` says why it has none."""

    row: str
    name: str
    value: float | None
    note: str = ''


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--exp', type=int, required=True, metavar='ID', help='of run_experiments.py --list')
    parser.add_argument('--metric', default='mIoU', help='score in the logs (default: mIoU)')
    parser.add_argument('--best', action='store_true', help='the best evaluation of each run, not the last: '
                        'chosen with the labels that it is scored on, so optimistic')
    parser.add_argument('--options', nargs='+', action='extend', metavar='KEY=VALUE',
                        help='with which the runs were started')
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs'), metavar='DIR',
                        help='default: %(default)s')
    parser.add_argument('--format', choices=['markdown', 'csv'], default='markdown')
    parser.add_argument('--out', metavar='FILE', help='a new file for the table (default: it is printed)')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='also write the scores of finished runs as data for tools/results_tables.py; '
                        'an existing file is written anew')
    parser.add_argument('--scores', type=Path, metavar='DIR',
                        help='folders in which tools/test.py left further scores of these runs, for --json')
    args = parser.parse_args(argv)
    if args.out and Path(args.out).exists():
        raise UserError(f"--out '{args.out}' exists: name another file")
    return args


def comparable(cfg: dict) -> str:
    """The config as text without what does not change a score."""
    return as_text(_without_places(cfg))


def _without_places(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_places(value) for key, value in node.items()
                if key not in ('data_root', 'workers_per_gpu')}
    return [_without_places(value) for value in node] if isinstance(node, (list, tuple)) else node


def folders_of(cfg: dict, exp: int, work_dirs: Path) -> list[Path]:
    """The folders of a config's runs on any machine, the newest first."""
    wanted, found = comparable(cfg), []
    for kept in work_dirs.glob(f'*-exp{exp}/*/*.json'):
        folder = kept.parent
        if kept.stem == folder.name and cfg['name'] in folder.name and comparable(read(kept)) == wanted:
            found.append(folder)
    return sorted(found, key=lambda folder: folder.name, reverse=True)


def score_of(cfg: dict, folders: Sequence[Path], metric: str, best: bool) -> Score:
    """Of the newest finished run among ``folders``."""
    row = re.sub(r'_s\d+$', '', cfg['name'])
    states = {folder: state_of(folder, cfg) for folder in folders}
    done = [folder for folder, state in states.items() if state == FINISHED]
    if not done:
        unfinished = ', '.join(f'{state}: {folder}' for folder, state in states.items())
        return Score(row, cfg['name'], None, unfinished or NO_RUN)
    curve = _curve(read_run(str(done[0])), metric, done[0])
    last = max(curve) if curve else 0
    if not curve or (last < cfg['runner']['max_iters'] and not best):
        return Score(row, cfg['name'], None, f'{metric} was not evaluated after the last step: {done[0]}')
    return Score(row, cfg['name'], max(curve.values()) if best else curve[last])


def _curve(curves: Curves, metric: str, folder: Path) -> dict[int, float]:
    if metric not in curves and 'mIoU' in curves:
        raise UserError(f"--metric '{metric}' is not in the log of '{folder}': "
                        f'{did_you_mean(metric, curves)}')
    return curves.get(metric, {})


def rows_of(scores: Iterable[Score]) -> list[list[str]]:
    """[config, mean, std, n] in percent; the sample's standard deviation, '-' with one run."""
    by_row: dict[str, list[float]] = {}
    for score in scores:
        values = by_row.setdefault(score.row, [])
        if score.value is not None:
            values.append(100 * score.value)
    return [[row, f'{statistics.fmean(values):.2f}' if values else '-',
             f'{statistics.stdev(values):.2f}' if len(values) > 1 else '-', str(len(values))]
            for row, values in by_row.items()]


def as_markdown(metric: str, rows: Sequence[Sequence[str]]) -> str:
    lines = [f'| config | {metric} (%) | runs |', '|---|---|---|']
    lines += [f'| {name} | {mean}{"" if std == "-" else f" ± {std}"} | {n} |' for name, mean, std, n in rows]
    return '\n'.join(lines) + '\n'


def as_csv(metric: str, rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([['config', f'{metric} mean', 'std', 'runs'], *rows])
    return text.getvalue()


def collected(cfgs: Sequence[dict], args: argparse.Namespace) -> dict[str, Any]:
    """The newest finished run of each config as data."""
    newest = []
    for cfg in cfgs:
        found = folders_of(cfg, args.exp, args.work_dirs)
        done = [folder for folder in found if state_of(folder, cfg) == FINISHED]
        newest += [read_record(folder, args.scores) for folder in done[:1]]
    titles = {id: title for id, title, _ in list_experiments()}
    return collect(newest, args.exp, titles.get(args.exp, ''), f'python run_experiments.py --exp {args.exp}')


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    options = parse_options(args.options)
    cfgs = [load_config(Config(resolve(cfg)), options)._cfg_dict.to_dict()
            for cfg in generate_experiment_cfgs(args.exp)]
    scores = [score_of(cfg, folders_of(cfg, args.exp, args.work_dirs), args.metric, args.best)
              for cfg in cfgs]
    missing = [score for score in scores if score.value is None]
    if all(score.note == NO_RUN for score in scores):
        raise UserError(f"'{args.work_dirs}' has no run of experiment {args.exp} with these options: "
                        f'run_experiments.py --exp {args.exp}')
    if args.json:
        write_json(args.json, collected(cfgs, args))
    table = (as_csv if args.format == 'csv' else as_markdown)(args.metric, rows_of(scores))
    if args.out:
        write_bytes(args.out, table.encode())
    else:
        print(table, end='')
    for score in missing:
        sys.stderr.write(f'missing: {score.name} ({score.note})\n')


if __name__ == '__main__':
    main()
