"""Repeat an experiment of docs/results.md: its data where they are not there, its runs, their scores.

    python tools/repeat.py 900 [--jobs 2]

Streets are rendered; CamVid, for 901 to 903, has to lie in data/camvid (docs/datasets.md). The same command
again goes on where it was stopped. The last line names the file with the figures: that of docs/results/ is
the published one.
"""
from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg.checkpoint.files import checkpoints_of
from mmseg.experiments.launch import run_to_the_end
from mmseg.experiments.runs import FINISHED, read, state_of
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.errors import positive
from mmseg.utils.project import shipped

CAMVID = Path('data/camvid')
CONVERTED = 'sample_class_stats.json'


class Streets(NamedTuple):
    """Rendered scenes: their folder, and the options that make_synthetic_streets.py has for them."""

    folder: str
    options: tuple[str, ...] = ()


DATA = {900: Streets('data/streets'), 901: CAMVID, 902: CAMVID, 903: CAMVID, 904: Streets('data/streets'),
        930: Streets('data/streets_930', ('--train', '120', '--val', '40', '--references'))}
# the tables of the others have calibration and entropies, too
SCORES_OF_THE_LOG = (930,)


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('exp', type=int, choices=sorted(DATA), metavar='ID', help='an experiment of the page')
    parser.add_argument('--jobs', type=positive, metavar='N', help='runs at a time (default: as the GPUs '
                        'allow, 1 on a CPU)')
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs'), metavar='DIR',
                        help='for runs, scores and figures (default: %(default)s)')
    return parser.parse_args(argv)


def data_commands(exp: int) -> list[list[str]]:
    """What makes the data ready, if they are not."""
    data = DATA[exp]
    if isinstance(data, Streets):
        if Path(data.folder, 'cityscapes', CONVERTED).is_file():
            return []
        return [['tools/make_synthetic_streets.py', data.folder, *data.options],
                ['tools/convert_datasets/cityscapes.py', f'{data.folder}/cityscapes']]
    if (data / CONVERTED).is_file():
        return []
    if not data.is_dir():
        raise UserError(f"experiment {exp} is of CamVid, which is not in '{data}': docs/datasets.md says "
                        'where to have it from')
    split = [] if (data / 'day').is_dir() else ['--day-and-dusk']
    return [['tools/convert_datasets/camvid.py', str(data), *split]]


def training_command(args: argparse.Namespace) -> list[str]:
    data = DATA[args.exp]
    elsewhere = (['--data-root', f'data/streets={data.folder}']
                 if isinstance(data, Streets) and data.folder != 'data/streets' else [])
    jobs = ['--jobs', str(args.jobs)] if args.jobs else []
    return ['run_experiments.py', *of_experiment(args), *elsewhere, *jobs]


def of_experiment(args: argparse.Namespace) -> list[str]:
    return ['--exp', str(args.exp), '--work-dirs', str(args.work_dirs)]


def figures_file(args: argparse.Namespace) -> Path:
    return args.work_dirs / f'{args.exp}.json'


def scores_dir(args: argparse.Namespace) -> Path:
    return args.work_dirs / f'scores-exp{args.exp}'


def score_commands(args: argparse.Namespace) -> Iterator[list[str]]:
    """A test of the last checkpoint of each finished run that was not tested yet."""
    if args.exp in SCORES_OF_THE_LOG:
        return
    for config in sorted(args.work_dirs.glob(f'*-exp{args.exp}/*/*.json')):
        folder = config.parent
        if config.stem != folder.name or state_of(folder, read(config)) != FINISHED:
            continue
        out = scores_dir(args) / folder.name
        if not any(out.glob('eval_*.json')):
            last = next(iter(checkpoints_of(folder).values()))
            yield ['tools/test.py', str(config), str(last), '--eval', 'mIoU', 'calibration', 'entropy',
                   '--work-dir', str(out)]


def summary_command(args: argparse.Namespace) -> list[str]:
    scores = ['--scores', str(scores_dir(args))] if scores_dir(args).is_dir() else []
    return ['tools/summarize.py', *of_experiment(args), *scores, '--json', str(figures_file(args))]


def run(command: list[str]) -> None:
    """SystemExit: it failed, and has said why."""
    code = run_to_the_end([sys.executable, shipped(command[0]), *command[1:]])
    if code:
        sys.exit(code)


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    os.environ.setdefault('OMP_NUM_THREADS', '1')  # as the published runs had
    for command in data_commands(args.exp):
        run(command)
    run(training_command(args))
    for command in score_commands(args):
        run(command)
    run(summary_command(args))
    print(f'figures: {figures_file(args)}; published: docs/results/{args.exp}.json')


if __name__ == '__main__':
    main()
