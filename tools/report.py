"""One HTML page about runs: scores, curves, classes, images, calibration, configs.

    python -m tools.report work_dirs/local-exp901/*
    python -m tools.report --exp 901 --out report.html

Runs in progress and damaged folders are shown as far as they go. Needs the extra `report` (Plotly).
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from experiments import TABLES, generate_experiment_cfgs, list_experiments, resolve
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config_trust import is_own
from mmseg.utils.files import write_bytes
from mmseg.utils.project import shipped
from run_experiments import base_of

if TYPE_CHECKING:
    from mmseg.report.record import RunRecord

HEAD = 2000  # bytes of a file in which its mark stands


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument(
        'runs',
        nargs='*',
        type=Path,
        metavar='RUN',
        help='folders of runs; the first one is what the others are compared with',
    )
    parser.add_argument('--exp', type=int, metavar='ID', help='the runs of this table, in its order')
    parser.add_argument(
        '--work-dirs',
        type=Path,
        default=Path('work_dirs'),
        metavar='DIR',
        help='where --exp looks (default: %(default)s)',
    )
    parser.add_argument(
        '--scores',
        type=Path,
        metavar='DIR',
        help='look for eval_*.json there too, if tools/test.py wrote them to another --work-dir',
    )
    parser.add_argument(
        '--predict',
        action='store_true',
        help='where a run has kept no predictions, make them '
        'from its last checkpoint and keep them in its folder',
    )
    parser.add_argument('--device', default='auto', help='for --predict: auto (default), cpu, cuda:0, …')
    parser.add_argument('--title', help="of the page (default: the experiment, or the runs' folder)")
    parser.add_argument(
        '--out',
        type=Path,
        default=Path('report.html'),
        metavar='FILE.html',
        help='an earlier report there is replaced, another file is not (default: %(default)s)',
    )
    args = parser.parse_args(argv)
    if not args.runs and args.exp is None:
        parser.error('folders of runs, or --exp ID, are needed')
    return args


def refuse_other_file(path: Path) -> None:
    """
    Raises:
        UserError: what is there is no report, or is no file.
    """
    from mmseg.report.page import MARK

    if path.is_dir():
        raise UserError(f"--out '{path}' is a folder: name a file")
    if path.exists():
        with path.open('rb') as file:
            if MARK.encode() not in file.read(HEAD):
                raise UserError(f"--out '{path}' exists and is no report: name another file")


def folders_of(exp: int, work_dirs: Path) -> list[Path]:
    """The newest folder of each run of a table, in its order, on any machine.

    Raises:
        UserError: there is none.
    """
    found = []
    for cfg in generate_experiment_cfgs(exp):
        pattern = re.compile(rf'\d+_\d+_{re.escape(cfg["name"])}_\w{{5}}')
        folders = [
            path for path in work_dirs.glob(f'*-exp{exp}/*') if path.is_dir() and pattern.fullmatch(path.name)
        ]
        found += sorted(folders, key=lambda path: path.name)[-1:]
    if not found:
        raise UserError(f"'{work_dirs}' has no run of experiment {exp}: run_experiments.py --exp {exp}")
    return found


def base_config(run: RunRecord) -> dict[str, Any] | None:
    """The merged base files of a run's config: those of its table, or of the config file that its command
    names; None if they are not known any more. A config of somebody else is code, and is not read."""
    exp = run.config.get('exp')
    with contextlib.suppress(UserError, OSError, ValueError, SyntaxError):
        for cfg in generate_experiment_cfgs(exp) if isinstance(exp, int) and exp in TABLES else ():
            if cfg['name'] == run.name:
                return resolve({'_base_': cfg['_base_']})
        for word in run.environment.get('command', '').split()[1:]:
            path = Path(shipped(word))
            if path.suffix in ('.py', '.json') and path.is_file() and is_own(path):
                return base_of(path) or None
    return None


def predict(run: RunRecord, device: str) -> None:
    """Keep predictions in the folder of ``run``; what prevents it becomes one of the run's faults."""
    from mmseg.apis.inference import choose_device, init_segmentor
    from mmseg.datasets import build_dataset
    from mmseg.engine.evaluation_record import FOLDER, IMAGES_FILE, keep_images
    from mmseg.utils.config import Config

    if (run.folder / FOLDER / IMAGES_FILE).is_file() or not run.config:
        return
    try:
        cfg, device = Config(run.config), choose_device(device)
        model = init_segmentor(cfg, str(run.folder / 'latest.pth'), device)
        keep_images(
            run.folder / FOLDER,
            model,
            build_dataset({**run.config['data']['val'], 'test_mode': True}),
            device,
        )
    except (UserError, KeyError) as error:
        run.faults.append(f'--predict: {error}')


def title_of(exp: int | None, folders: Sequence[Path]) -> str:
    if exp is None:
        return ', '.join(dict.fromkeys(folder.resolve().parent.name for folder in folders))
    titles = {number: title for number, title, _ in list_experiments()}
    return f'Experiment {exp}: {titles.get(exp, "")}'.rstrip(': ')


def report(folders: Sequence[Path], args: argparse.Namespace) -> str:
    from mmseg.report.page import make_page
    from mmseg.report.record import read_record

    runs = [read_record(folder, args.scores) for folder in folders]
    for run in runs:
        run.base = base_config(run)
        if args.predict:
            predict(run, args.device)
    return make_page(runs, args.title or title_of(args.exp, folders))


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if importlib.util.find_spec('plotly') is None:
        raise UserError("the report needs Plotly: pip install 'plotly>=6,<7'")
    refuse_other_file(args.out)
    folders = [*args.runs, *(folders_of(args.exp, args.work_dirs) if args.exp is not None else ())]
    page = report(folders, args).encode()
    write_bytes(args.out, page)
    runs = f'{len(folders)} run{"s" if len(folders) > 1 else ""}'
    print(f'{runs}, {len(page) / 1e6:.1f} MB: open {args.out} in a browser')


if __name__ == '__main__':
    main()
