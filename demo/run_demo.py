"""The whole project in one go, by its own programs: data, training, testing, a picture, a table.

``make demo`` calls it. Finished steps are remembered in work_dirs/demo/steps and not repeated, so an
interrupted demo goes on where it was; ``make clean-demo`` starts afresh.
"""
from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

from prettytable import PrettyTable

from demo.steps import OUT, Step, run, run_together
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config import Config

ROOT = Path(__file__).resolve().parent.parent
STREETS = Path('data/streets')
SCENES = ['--train', '400', '--val', '60', '--size', '256x128', '--seed', '0']
RUNS = OUT / 'local-basic'
PICTURE = OUT / 'overlay.png'
REPORT = OUT / 'report.html'
METHODS = {
    'source only': 'streets_source_mitb0_s0',
    'DAFormer': 'streets_daformer_mitb0_s0',
    'EBDA': 'streets_ebda_mitb0_s0',
}
PROCESSES = str(os.cpu_count() or 1)


def config_file(name: str) -> str:
    return f'configs/toy/{name}.py'


def newest_run(name: str) -> Path | None:
    """The folder of the last run of a config, ``<date>_<name>_<id>``."""
    return max(RUNS.glob(f'*_{name}_*'), key=lambda folder: folder.stat().st_mtime, default=None)


def data_steps() -> list[Step]:
    return [
        Step('make_streets',
             [sys.executable, 'tools/make_synthetic_streets.py', str(STREETS), *SCENES, '--nproc', PROCESSES],
             result=f'{STREETS}/acdc/rgb_anon/*/val/*/*.png'),
        Step('convert_streets',
             [sys.executable, 'tools/convert_datasets/cityscapes.py', str(STREETS / 'cityscapes'),
              '--nproc', PROCESSES],
             result=f'{STREETS}/cityscapes/sample_class_stats.json'),
    ]


def train_step(name: str) -> Step:
    program = [sys.executable, 'run_experiments.py', '--work-dirs', str(OUT)]
    run_dir = newest_run(name)
    begun = run_dir is not None and (run_dir / 'latest.pth').is_file()
    return Step(f'train_{name}', [*program, '--config', config_file(name)],
                result=f'{RUNS}/*_{name}_*/latest.pth',
                resume_command=[*program, '--resume', str(run_dir)] if begun else None, threads=1)


def test_step(name: str) -> Step:
    run_dir = newest_run(name)
    return Step(f'test_{name}', ['sh', 'test.sh', str(run_dir)], result=f'{run_dir}/eval_latest_*.json')


def picture_step() -> Step:
    """An image as the first method's network sees it and as the last one's does."""
    runs = [newest_run(name) for name in METHODS.values()]
    image = min(STREETS.glob('acdc/rgb_anon/*/val/*/*.png'))
    return Step('picture', [
        sys.executable, '-m', 'demo.image_demo', str(image), str(runs[-1] / f'{runs[-1].name}.json'),
        str(runs[0] / 'latest.pth'), str(runs[-1] / 'latest.pth'), '--legend', '--out', str(PICTURE)],
        result=str(PICTURE))


def report_step() -> Step:
    runs = [str(newest_run(name)) for name in METHODS.values()]
    program = [sys.executable, '-m', 'tools.report', *runs]
    return Step('report', [*program, '--title', 'The demo', '--out', str(REPORT)], result=str(REPORT))


def target_miou(name: str) -> float:
    """The mIoU (%) on the target's validation images, from the scores that the test has kept."""
    scores = max(newest_run(name).glob('eval_latest_*.json'), default=None)
    if scores is None:
        record = test_step(name).record_file
        raise UserError(f'the scores of {name} are gone: remove {record} and run the demo again')
    return 100 * json.loads(scores.read_text(encoding='utf-8'))['scores']['mIoU']


def comparison(training_seconds: dict[str, float]) -> PrettyTable:
    table = PrettyTable(['method', 'steps', 'seed', 'mIoU on the target (%)', 'training (min)'])
    for method, name in METHODS.items():
        config = Config.fromfile(config_file(name))
        table.add_row([method, config.runner.max_iters, config.seed, f'{target_miou(name):.2f}',
                       f'{training_seconds[method] / 60:.1f}'])
    return table


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    ArgumentParser(description=__doc__.splitlines()[0]).parse_args(argv)
    os.chdir(ROOT)
    names = METHODS.values()
    total = len(data_steps()) + 2 * len(names) + 2
    elapsed = sum(run(step, number, total) for number, step in enumerate(data_steps(), 1))
    # side by side: a small network's step on two threads takes nearly as long as on one
    training = run_together([train_step(name) for name in names], len(data_steps()) + 1, total)
    elapsed += max(training)
    for number, name in enumerate(names, total - len(names) - 1):
        elapsed += run(test_step(name), number, total)
    elapsed += run(picture_step(), total - 1, total)
    elapsed += run(report_step(), total, total)
    print(f'\n{comparison(dict(zip(METHODS, training)))}')
    print(f'picture: {PICTURE}; report: {REPORT}; all steps together took {elapsed / 60:.1f} min on '
          f'{PROCESSES} CPU cores')


if __name__ == '__main__':
    main()
