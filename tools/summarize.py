"""Table of runs: the score of each config over its seeds, as mean and standard deviation.

    python tools/summarize.py --exp 22 [--only ebda,daformer] [--seeds 0,1] [--metric mIoU] [--best]
    python tools/summarize.py work_dirs/local-basic/RUN … [--format csv] [--out FILE]

The runs of --exp are those of run_experiments.py --exp ID with the same --options, on any machine; where
their data lay and how many processes loaded it do not matter. Folders of runs may be of any config: those
that differ in their seed alone are one row. A score is the last evaluation's, and that of the last stage
where a row has stages. What is not finished is named below the table.
"""
from __future__ import annotations

import argparse
import csv
import gc
import io
import json
import re
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import generate_experiment_cfgs, list_experiments, resolve
from mmseg.experiments.changes import changed
from mmseg.experiments.differences import row_of, variants, without_places
from mmseg.experiments.runs import FINISHED, Run, as_text, find_kept_config, read, state_of
from mmseg.experiments.selection import seeds, selected, words
from mmseg.experiments.stages import Row, fill, is_program, unfold
from mmseg.report.collected import collect, with_earlier
from mmseg.report.logs import Curves, read_run
from mmseg.report.record import read_record
from mmseg.utils import ArgumentParser, UserError, did_you_mean, one_line_errors
from mmseg.utils.config import parse_options
from mmseg.utils.files import write_bytes

NO_RUN = 'not run'


class Score(NamedTuple):
    """Of one run; without ``value`` (0–1) ``note`` says why it has none."""

    row: str
    name: str
    value: float | None
    note: str = ''


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('runs', nargs='*', type=Path, metavar='RUN', help='folders of runs')
    parser.add_argument('--exp', type=int, metavar='ID', help='of run_experiments.py --list')
    parser.add_argument('--only', type=words, metavar='NAME,…', help='only these methods (ebda, daformer, …) '
                        'or parts of names')
    parser.add_argument('--seeds', type=seeds, metavar='N,…', help='only these seeds')
    parser.add_argument('--metric', default='mIoU', help='score in the logs (default: mIoU)')
    parser.add_argument('--best', action='store_true', help='the best evaluation of each run, not the last: '
                        'chosen with the labels that it is scored on, so optimistic')
    parser.add_argument('--stages', action='store_true',
                        help='with --exp: rows for the trainings before the last stage, too')
    parser.add_argument('--options', nargs='+', action='extend', metavar='KEY=VALUE',
                        help='with which the runs of --exp were started')
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs'), metavar='DIR',
                        help='where those of --exp lie (default: %(default)s)')
    parser.add_argument('--format', choices=['markdown', 'csv'], default='markdown')
    parser.add_argument('--out', metavar='FILE', help='a new file for the table (default: it is printed)')
    parser.add_argument('--json', type=Path, metavar='FILE',
                        help='also write the scores of finished runs as data for tools/results_tables.py; an '
                        'existing file keeps what it has of runs that are not here')
    parser.add_argument('--scores', type=Path, metavar='DIR',
                        help='folders in which tools/test.py left further scores of these runs, for --json')
    args = parser.parse_args(argv)
    if bool(args.runs) == (args.exp is not None):
        parser.error('give folders of runs, or --exp ID')
    if args.json and args.runs:
        parser.error('--json is for --exp')
    if args.out and Path(args.out).exists():
        raise UserError(f"--out '{args.out}' exists: name another file")
    return args


def comparable(cfg: dict) -> str:
    """The config as text without what does not change a score."""
    return as_text(without_places(cfg))


def folders_of(cfg: dict, exp: int, work_dirs: Path) -> list[Path]:
    """The folders of a config's runs on any machine, the newest first."""
    wanted, found = comparable(cfg), []
    for kept in work_dirs.glob(f'*-exp{exp}/*/*.json'):
        folder = kept.parent
        if kept.stem == folder.name and cfg['name'] in folder.name and comparable(read(kept)) == wanted:
            found.append(folder)
    return sorted(found, key=lambda folder: folder.name, reverse=True)


class Found(NamedTuple):
    """What has a score: its config, the folders of its runs, the newest first, why there are none, and the
    folders of the trainings that came before each of its runs."""

    cfg: dict
    folders: list[Path]
    note: str
    before: dict[Path, list[Path]]


def runs_of_table(args: argparse.Namespace) -> dict[str, Found]:
    """By name, so that a stage of several rows is there once."""
    options = parse_options(args.options)
    rows = [changed(unfold(resolve(cfg), {}, resolve), options) for cfg in generate_experiment_cfgs(args.exp)]
    return {name: found for place in selected([row.cfg for row in rows], args.only, args.seeds)
            for name, found in runs_of_row(rows[place], args).items()}


def runs_of_row(row: Row, args: argparse.Namespace) -> dict[str, Found]:
    """Of the row itself, and of the trainings before it where they are asked for. A run belongs to a row if
    those do from which it has its inputs."""
    folders: dict[str, list[Path]] = {}
    chains: list[dict[str, Run]] = [{}]
    cfgs = {**{name: cfg for name, (cfg, _) in row.stages.items()}, '': row.cfg}
    for name, cfg in cfgs.items():
        filled = [(fill(cfg, chain, {}) if row.stages else cfg, chain) for chain in chains]
        chains = [{**chain, name: Run(one, {}, folder, state_of(folder, one))}
                  for one, chain in filled for folder in folders_of(one, args.exp, args.work_dirs)]
        folders[name] = list(dict.fromkeys(chain[name].work_dir for chain in chains))
    begun = [name for name in cfgs if folders[name]]
    note = f"{NO_RUN}: comes after '{begun[-1]}'" if begun else NO_RUN
    trainings = [name for name, cfg in cfgs.items() if name and not is_program(cfg)]
    before = {chain[''].work_dir: [chain[name].work_dir for name in trainings] for chain in chains}
    return {cfg['name']: Found(cfg, folders[name], note, {} if name else before) for name, cfg in cfgs.items()
            if not name or args.stages and not is_program(cfg)}


def scores_of_table(found: Mapping[str, Found], args: argparse.Namespace) -> list[Score]:
    """
    Raises:
        UserError: not one run of the table is there.
    """
    scores = [score_of(cfg, folders, row_of(cfg['name']), args, note)
              for cfg, folders, note, _ in found.values()]
    if all(score.note == NO_RUN for score in scores):
        raise UserError(f"'{args.work_dirs}' has no run of experiment {args.exp} with these options: "
                        f'run_experiments.py --exp {args.exp}')
    return scores


def scores_of_runs(args: argparse.Namespace) -> list[Score]:
    """Each folder counts; rows of one name and other settings are told apart by what differs."""
    folders = list({folder.resolve(): folder for folder in args.runs}.values())
    cfgs = [kept_config(folder) for folder in folders]
    places = selected(cfgs, args.only, args.seeds)
    return [score_of(cfgs[place], [folders[place]], row_of(cfgs[place]['name']) + variant, args)
            for place, variant in zip(places, variants([cfgs[place] for place in places]))]


def kept_config(folder: Path) -> dict:
    """
    Raises:
        UserError: no folder of a run.
    """
    try:
        cfg = read(find_kept_config(folder))
    except UserError as error:
        raise UserError(str(error).removeprefix('--resume: ')) from None
    if 'max_iters' not in (cfg.get('runner') or {}):
        raise UserError(f"the config in '{folder}' has no runner.max_iters, so it is of no training")
    return {'name': folder.resolve().name, 'seed': None, **cfg}


def score_of(cfg: dict, folders: Sequence[Path], row: str, args: argparse.Namespace,
             note: str = NO_RUN) -> Score:
    """Of the newest finished run among ``folders``; ``note`` where there are none."""
    states = {folder: state_of(folder, cfg) for folder in folders}
    done = [folder for folder, state in states.items() if state == FINISHED]
    if not done:
        unfinished = ', '.join(f'{state}: {folder}' for folder, state in states.items())
        return Score(row, cfg['name'], None, unfinished or note)
    curve = _curve(read_run(str(done[0])), args.metric, done[0])
    last = max(curve) if curve else 0
    if not curve or (last < cfg['runner']['max_iters'] and not args.best):
        return Score(row, cfg['name'], None,
                     f'{args.metric} was not evaluated after the last step: {done[0]}')
    return Score(row, cfg['name'], max(curve.values()) if args.best else curve[last])


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


def collected(found: Iterable[Found], args: argparse.Namespace) -> dict[str, Any]:
    """The newest finished run of each config as data, and of configs without one what ``--json`` has of them.

    Raises:
        UserError: the file of ``--json`` is no such data, or of another experiment.
    """
    newest, before = [], {}
    for cfg, folders, _, earlier in found:
        for folder in [folder for folder in folders if state_of(folder, cfg) == FINISHED][:1]:
            newest.append(read_record(folder, args.scores))
            before[newest[-1].name] = [read_record(path) for path in earlier.get(folder, [])]
    titles = {id: title for id, title, _ in list_experiments()}
    results = collect(newest, args.exp, titles.get(args.exp, ''),
                      f'python run_experiments.py --exp {args.exp}', before)
    return with_earlier(results, _kept_results(args)) if args.json.exists() else results


def as_data(results: Mapping[str, Any]) -> str:
    """JSON with lists of numbers on a line each, so that a person can read it and its history."""
    return re.sub(r'\[([^\[\]{}"]*)\]', lambda numbers: f'[{" ".join(numbers[1].split())}]',
                  json.dumps(results, indent=1)) + '\n'


def _kept_results(args: argparse.Namespace) -> dict[str, Any]:
    kept = read(args.json)
    if kept.get('experiment') != args.exp or not isinstance(kept.get('runs'), list):
        raise UserError(f"--json '{args.json}' exists and holds no results of experiment {args.exp}: "
                        'name another file')
    return kept


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    found = {} if args.runs else runs_of_table(args)
    scores = scores_of_runs(args) if args.runs else scores_of_table(found, args)
    missing = [score for score in scores if score.value is None]
    if args.json:
        write_bytes(args.json, as_data(collected(found.values(), args)).encode())
    table = (as_csv if args.format == 'csv' else as_markdown)(args.metric, rows_of(scores))
    if args.out:
        write_bytes(args.out, table.encode())
    else:
        print(table, end='')
    for score in missing:
        sys.stderr.write(f'missing: {score.name} ({score.note})\n')


if __name__ == '__main__':
    main()
