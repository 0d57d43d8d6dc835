"""Generate the configs of an experiment and train them, on the GPUs of this machine or as slurm jobs.

    python run_experiments.py --list
    python run_experiments.py --exp 21 [--dry-run]
    python run_experiments.py --exp 22 --only ebda,daformer --seeds 0,1
    python run_experiments.py --config configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py
    python run_experiments.py --exp 22 --machine slurm --slurm slurm_partition=gpu timeout_min=1440
    python run_experiments.py --resume work_dirs/local-basic/RUN

Every run has a folder of its own, work_dirs/local-exp<ID>/ or work_dirs/local-basic/ followed by
<date>_<name>_<id>, with the resolved config as <that name>.json; no run writes into another's. The same
command again skips the runs that are done, goes on with those that were interrupted and leaves alone
those that are being trained; earlier runs are known by their kept config. A run that fails is named at
the end with its reason, and the others go on.
"""
from __future__ import annotations

import argparse
import ast
import gc
import inspect
import json
import shlex
import signal
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == '__main__':
    gc.disable()  # main switches it on again

from experiments import generate_experiment_cfgs, list_experiments, resolve
from mmseg.experiments.changes import changed
from mmseg.experiments.differences import differences
from mmseg.experiments.inputs import keep_inputs
from mmseg.experiments.launch import (
    STOPPED,
    Failure,
    device_groups,
    run_to_the_end,
    train_all,
    training_command,
    visible_gpus,
)
from mmseg.experiments.programs import run_program
from mmseg.experiments.runs import (
    FINISHED,
    NEW,
    PARTIAL,
    RUNNING,
    Run,
    can_go_on,
    find_kept_config,
    forget_failed_start,
    is_queued,
    read,
    write_config,
)
from mmseg.experiments.selection import seeds, selected, words
from mmseg.experiments.slurm import submit
from mmseg.experiments.stages import Plan, Row, is_program, unfold
from mmseg.utils import ArgumentParser, UserError, one_line_errors
from mmseg.utils.config import Config, parse_options
from mmseg.utils.config_text import text_of_config
from mmseg.utils.errors import positive, refused_file
from mmseg.utils.project import shipped


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--exp', type=int, metavar='ID', help='all runs of this table')
    what.add_argument('--config', metavar='FILE', help='the run of this config file')
    what.add_argument('--list', action='store_true', help='print the ids of --exp with their titles')
    parser.add_argument('--only', type=words, metavar='NAME,…', help='of the table only these methods (ebda, '
                        'daformer, dacs, source-only, …) or parts of names (segformer, mitb5, …)')
    parser.add_argument('--seeds', type=seeds, metavar='N,…', help='of the table only these seeds')
    parser.add_argument('--resume', metavar='DIR', type=Path,
                        help='go on in the folder of an interrupted run, with the config kept there '
                        'unless --exp or --config gives another')
    parser.add_argument('--dry-run', action='store_true',
                        help='print each resolved config and its difference from its base files')
    parser.add_argument('--options', '--cfg-options', dest='options', nargs='+', action='extend',
                        metavar='KEY=VALUE',
                        help='change the configs, e.g. runner.max_iters=100')
    parser.add_argument('--data-root', action='append', default=[], metavar='OLD=NEW',
                        help='read the data sets below folder OLD from folder NEW')
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs'), metavar='DIR',
                        help='where the folders of runs are made (default: %(default)s)')
    parser.add_argument('--machine', choices=['local', 'slurm'], default='local',
                        help='local (default): side by side on the GPUs of this machine, n_gpus of them for '
                        'each run, or one run after the other on a CPU; slurm: an array of jobs')
    parser.add_argument('--jobs', type=positive, metavar='N', help='local: runs at a time (default: as the '
                        'GPUs allow, 1 on a CPU)')
    parser.add_argument('--slurm', nargs='+', action='extend', default=[], metavar='KEY=VALUE',
                        help="submitit's settings, e.g. timeout_min=1440 slurm_partition=gpu mem_gb=64")
    parser.add_argument('--rerun', action='store_true',
                        help='train in new folders also what is done, begun or being trained')
    args = parser.parse_args(argv)
    args.options, args.slurm = parse_options(args.options), parse_options(args.slurm)
    if args.exp is None and not (args.config or args.list or args.resume):
        parser.error('one of --exp, --config, --resume and --list is needed')
    if (args.only or args.seeds) and args.exp is None:
        parser.error('--only and --seeds choose from the table of --exp')
    if args.slurm and args.machine != 'slurm':
        parser.error('--slurm is for --machine slurm')
    if args.resume and args.resume.is_dir():
        args.resume = args.resume.resolve()  # the folder's own name is that of its config, not a link's
    return args


def base_of(path: Path) -> dict[str, Any]:
    """The merged base files of a config file; empty if it has none."""
    bases: Any = []
    if path.suffix == '.py':
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], 'id', '') == '_base_':
                bases = ast.literal_eval(node.value)
    elif path.suffix == '.json':
        bases = json.loads(path.read_text()).get('_base_', [])
    bases = [bases] if isinstance(bases, str) else bases
    return resolve({'_base_': [str((path.parent / base).resolve()) for base in bases]})


def selected_rows(args: argparse.Namespace) -> list[Row]:
    """What --exp, --config or --resume asks for."""
    if args.exp is not None:
        cfgs = generate_experiment_cfgs(args.exp)
        resolved = [resolve(cfg) for cfg in cfgs]
        return [unfold(resolved[place], resolve({'_base_': cfgs[place]['_base_']}), resolve)
                for place in selected(resolved, args.only, args.seeds)]
    path = Path(shipped(args.config)) if args.config else find_kept_config(args.resume)
    cfg = read(path)
    cfg.setdefault('name', path.stem)
    return [unfold(cfg, base_of(path), resolve)]


def plan(args: argparse.Namespace) -> list[Run]:
    """The runs that the arguments ask for, none before those that it needs; nothing is written."""
    planned = Plan(group_of(args), args.rerun)
    for row in selected_rows(args):
        planned.add(changed(row, args.options, args.data_root))
    return [the_run_in(args.resume, planned.runs)] if args.resume else planned.runs


def the_run_in(folder: Path, runs: list[Run]) -> Run:
    """That of ``runs`` which is to go on in the folder of an interrupted one.

    Raises:
        UserError: it left nothing there to go on with, or is none of them.
    """
    kept = read(find_kept_config(folder))
    if not can_go_on(folder):
        raise UserError(f"--resume: '{folder}' has no checkpoint (latest.pth or iter_*.pth) yet: "
                        'start the run anew with --exp or --config')
    found = [run for run in runs if run.cfg['name'] == kept.get('name', run.cfg['name'])]
    if not found:
        raise UserError(f"--resume: the run in '{folder}' is '{kept['name']}', which is not "
                        'what --exp or --config describes')
    return replace(found[0], cfg={**found[0].cfg, 'work_dir': str(folder)}, work_dir=folder, state=PARTIAL)


def group_of(args: argparse.Namespace) -> Path:
    """The folder above those of the runs."""
    return args.work_dirs / (f'{args.machine}-basic' if args.exp is None else f'{args.machine}-exp{args.exp}')


def report_of(args: argparse.Namespace) -> str | None:
    """The arguments of tools.report for a whole table; None for chosen runs."""
    if args.exp is None or args.only or args.seeds:
        return None
    table = ['--exp', str(args.exp)]
    elsewhere = [] if args.work_dirs == Path('work_dirs') else ['--work-dirs', str(args.work_dirs)]
    return shlex.join(table + elsewhere)


def print_plan(runs: list[Run]) -> None:
    number = {run.work_dir: i for i, run in enumerate(runs, 1)}
    for run in runs:
        shown = [f'[{number[folder]}]' for folder in run.needs if folder in number]
        after = f', after {", ".join(shown)}' if shown else ''
        print(f'# [{number[run.work_dir]}/{len(runs)}] {run.cfg["name"]}{after}')
        print('' if run.state == NEW else f'# {run.state} in {run.work_dir}\n')
        if is_program(run.cfg):
            print(shlex.join(['python', run.cfg['program'], *map(str, run.cfg.get('args', []))]), end='\n\n')
            continue
        print(text_of_config(Config(run.cfg)))
        print('# difference from its base files:')
        print('\n'.join(differences(run.base, run.cfg)) or '(none)', end='\n\n')


def train(run: Run) -> Failure | None:
    """Train in this process; None if the run is finished."""
    try:
        config = write_config(run)
        keep_inputs(run.work_dir, run.inputs)
        code = run_program(config) if is_program(run.cfg) else _trained(run, config)
    except UserError as error:
        return Failure(str(error))
    except SystemExit as end:
        code = end.code
    except Exception as error:
        line = refused_file(error) if isinstance(error, OSError) else None
        if line is None:
            traceback.print_exc()
        return Failure(line or ' '.join(f'{type(error).__name__}: {error}'.split()))
    return ended(code)


def ended(code: int | str | None) -> Failure | None:
    """Whether a training that ended with this exit code is not finished."""
    if isinstance(code, int) and code - 128 in [number.value for number in signal.Signals]:
        return Failure.by_signal(code - 128, STOPPED)
    return Failure(f'exit code {code}') if code else None


def _trained(run: Run, config: Path) -> int | None:
    if run.devices > 1 and visible_gpus():
        return run_to_the_end(training_command(config, run.devices))
    argv = [str(config), '--work-dir', str(run.work_dir),
            *(['--resume', 'auto'] if run.state == PARTIAL else [])]
    # it needs the whole package, which --list and --dry-run do not
    from tools import train as program
    return inspect.unwrap(program.main)(argv)


def launch(runs: list[Run], jobs: int | None, report: str | None = None) -> int:
    """Train all that have to be trained; returns the exit code. ``report``: arguments of tools.report."""
    number = {run.work_dir: f'[{i}/{len(runs)}] {run.cfg["name"]}' for i, run in enumerate(runs, 1)}
    waiting = to_do(runs)
    report_others(runs)

    def begun(run: Run) -> None:
        print(f'{number[run.work_dir]} in {run.work_dir}', flush=True)

    places = device_groups(waiting, jobs)
    if len(runs) == 1 and waiting:
        begun(runs[0])
        failures = [train(runs[0])]
    else:
        failures = train_all(waiting, places, train, begun)
    failed = [(run, failure) for run, failure in zip(waiting, failures) if failure is not None]
    made = {run.work_dir for run in waiting} - {run.work_dir for run, _ in failed}
    done = [run for run in runs if run.work_dir in made or run.state == FINISHED]
    print(f'{len(done)} of {len(runs)} runs finished')
    finished = [run.work_dir for run in done if run.is_row]
    if len(runs) > 1 and finished:  # a single run has told it itself
        from mmseg.report.closing import closing_lines  # as above: --list and --dry-run do without
        print('\n'.join(closing_lines(finished, report)))
    for run, failure in failed:
        forget_failed_start(run)
        sys.stderr.write(f'error: {run.work_dir}: {failure.reason}\n')
    # a signal is why the others are not finished either
    return max((failure.code for _, failure in failed), default=0)


def to_do(runs: list[Run], queue: bool = False) -> list[Run]:
    """The runs that this process can do. Those that need one that another process is doing wait for it,
    unless it is in the ``queue`` and they can stand behind it."""
    left: set[Path] = {run.work_dir for run in runs
                       if run.state == RUNNING and not (queue and is_queued(run.work_dir))}
    found = []
    for run in runs:
        if not left.isdisjoint(run.needs):
            left.add(run.work_dir)
        elif run.state in (NEW, PARTIAL):
            found.append(run)
    return found


def report_others(runs: list[Run]) -> None:
    """Name the runs that are left alone."""
    reasons = {FINISHED: 'is done (--rerun trains it anew)',
               RUNNING: 'is being trained or waits in the queue'}
    for run in runs:
        if run.state in reasons:
            print(f'{run.cfg["name"]} {reasons[run.state]}: {run.work_dir}')


def submit_all(runs: list[Run], args: argparse.Namespace) -> int:
    """Put what has to be trained into slurm's queue; returns the exit code."""
    report_others(runs)
    waiting = to_do(runs, queue=True)
    logs = group_of(args) / 'jobs'
    for run, job in zip(waiting, submit(waiting, args.slurm, logs)):
        print(f'job {job.job_id}: {run.cfg["name"]} in {run.work_dir}')
    print(f'{len(waiting)} of {len(runs)} runs submitted; the jobs\' logs are in {logs}')
    return 0


@one_line_errors
def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    if args.list:
        for number, title, count in list_experiments():
            print(f'{number:>4}  {title} ({count} run{"s" if count > 1 else ""})')
        return 0
    runs = plan(args)
    if args.dry_run:
        print_plan(runs)
        return 0
    return submit_all(runs, args) if args.machine == 'slurm' else launch(runs, args.jobs, report_of(args))


if __name__ == '__main__':
    main()
