"""Generate the configs of an experiment and train them one after the other.

    python run_experiments.py --list
    python run_experiments.py --exp 21 [--dry-run]
    python run_experiments.py --config configs/ebda/cs2acdc_ebda_daformer_mitb5_s0.py
    python run_experiments.py --resume work_dirs/local-basic/RUN

Every run has a folder of its own, work_dirs/local-exp<ID>/ or work_dirs/local-basic/ followed by
<date>_<name>_<id>, with the resolved config as <that name>.json; no run writes into another's. A run
that fails is named at the end with its reason, and the others go on.
"""
from __future__ import annotations

import argparse
import ast
import inspect
import json
import multiprocessing
import sys
import traceback
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from experiments import generate_experiment_cfgs, list_experiments, resolve
from mmseg.utils import UserError, did_you_mean, one_line_errors
from mmseg.utils.config import Config, load_config, parse_options
from mmseg.utils.files import unused_path, write_json

# top-level keys that a config may have beside those of its base files
OPTIONAL_KEYS = ('auto_resume', 'custom_hooks', 'deterministic', 'fp16', 'load_from', 'lr_config',
                 'resume_from', 'seed', 'use_ddp_wrapper')


@dataclass(frozen=True)
class Run:
    """One training: its whole config, the config it is a difference from, where it works."""

    cfg: dict[str, Any]
    base: dict[str, Any]
    work_dir: Path
    resume_from: Path | None = None

    @property
    def config_file(self) -> Path:
        return self.work_dir / f'{self.work_dir.name}.json'


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group()
    what.add_argument('--exp', type=int, metavar='ID', help='all runs of this table')
    what.add_argument('--config', metavar='FILE', help='the run of this config file')
    what.add_argument('--list', action='store_true', help='print the ids of --exp with their titles')
    parser.add_argument('--resume', metavar='DIR', type=Path,
                        help='go on in the folder of an interrupted run, with the config kept there '
                        'unless --exp or --config gives another')
    parser.add_argument('--dry-run', action='store_true',
                        help='print each resolved config and its difference from its base files')
    parser.add_argument('--options', nargs='+', metavar='KEY=VALUE',
                        help='change the configs, e.g. runner.max_iters=100')
    parser.add_argument('--data-root', action='append', default=[], metavar='OLD=NEW',
                        help='read the data sets below folder OLD from folder NEW')
    parser.add_argument('--work-dirs', type=Path, default=Path('work_dirs'), metavar='DIR',
                        help='where the folders of runs are made (default: %(default)s)')
    parser.add_argument('--machine', choices=['local'], default='local',
                        help='first part of the name of the folder above the runs')
    args = parser.parse_args(argv)
    args.options = parse_options(args.options)
    if args.exp is None and not (args.config or args.list or args.resume):
        parser.error('one of --exp, --config, --resume and --list is needed')
    return args


def read(path: str | Path) -> dict[str, Any]:
    """A config file with its base files merged in, as a plain dict."""
    return load_config(path)._cfg_dict.to_dict()


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


def find_kept_config(folder: Path) -> Path:
    """The resolved config in the folder of a run."""
    if not folder.is_dir():
        raise UserError(f"--resume: there is no folder '{folder}'")
    named = folder / f'{folder.resolve().name}.json'
    found = [named] if named.is_file() else [
        path for path in sorted(folder.glob('*.json')) if not path.name.endswith('.log.json')]
    if len(found) != 1:
        raise UserError(f"--resume: '{folder}' has {len(found)} config files (*.json), expected one: "
                        'give the folder of a single run')
    return found[0]


def find_checkpoint(folder: Path) -> Path:
    """Where the run of a folder goes on."""
    latest = folder / 'latest.pth'
    if latest.is_file():
        return latest
    saved = sorted(folder.glob('iter_*.pth'), key=lambda path: path.stat().st_mtime)
    if not saved:
        raise UserError(f"--resume: '{folder}' has no checkpoint (latest.pth or iter_*.pth) yet: "
                        'start the run anew with --exp or --config')
    return saved[-1]


def selected_configs(args: argparse.Namespace) -> list[tuple[dict, dict]]:
    """(config, base) of each run that --exp, --config or --resume asks for."""
    if args.exp is not None:
        cfgs = generate_experiment_cfgs(args.exp)
        return [(resolve(cfg), resolve({'_base_': cfg['_base_']})) for cfg in cfgs]
    path = Path(args.config) if args.config else find_kept_config(args.resume)
    cfg = read(path)
    cfg.setdefault('name', path.stem)
    return [(cfg, base_of(path))]


def plan(args: argparse.Namespace) -> list[Run]:
    """The runs that the arguments ask for; nothing is written."""
    pairs = selected_configs(args)
    if args.resume:
        kept = read(find_kept_config(args.resume))
        checkpoint = find_checkpoint(args.resume)
        pairs = [pair for pair in pairs if pair[0]['name'] == kept.get('name', pair[0]['name'])]
        if not pairs:
            raise UserError(f"--resume: the run in '{args.resume}' is '{kept['name']}', which is not "
                            'what --exp or --config describes')
        cfg, base = pairs[0]
        return [Run(_changed(cfg, args, args.resume), base, args.resume, checkpoint)]
    group = f'{args.machine}-basic' if args.exp is None else f'{args.machine}-exp{args.exp}'
    folders = [args.work_dirs / group / unique_name(cfg['name']) for cfg, _ in pairs]
    return [Run(_changed(cfg, args, folder), base, folder)
            for (cfg, base), folder in zip(pairs, folders)]


def unique_name(name: str) -> str:
    return f'{datetime.now():%y%m%d_%H%M}_{name}_{uuid.uuid4().hex[:5]}'


def _changed(cfg: dict, args: argparse.Namespace, work_dir: Path) -> dict:
    for mapping in args.data_root:
        cfg = with_data_root(cfg, mapping)
    return {**with_options(cfg, args.options), 'work_dir': str(work_dir)}


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


def flatten(node: dict, prefix: str = '') -> Iterator[tuple[str, Any]]:
    """('a.b', value) of every leaf; an empty dict is one."""
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from flatten(value, f'{prefix}{key}.')
        else:
            yield f'{prefix}{key}', value


def differences(base: dict, cfg: dict) -> list[str]:
    """One line for each key that ``cfg`` adds (+), drops (-) or changes (~)."""
    old, new = dict(flatten(base)), dict(flatten(cfg))
    lines = []
    for key in sorted({*old, *new}):
        if key not in old:
            lines.append(f'+ {key} = {new[key]!r}')
        elif key not in new:
            lines.append(f'- {key} (was {old[key]!r})')
        elif old[key] != new[key]:
            lines.append(f'~ {key} = {new[key]!r} (was {old[key]!r})')
    return lines


def print_plan(runs: list[Run]) -> None:
    for number, run in enumerate(runs, 1):
        print(f'# [{number}/{len(runs)}] {run.cfg["name"]}\n')
        print(Config(run.cfg).pretty_text)
        print('# difference from its base files:')
        print('\n'.join(differences(run.base, run.cfg)) or '(none)', end='\n\n')


def _as_text(cfg: dict) -> str:
    return json.dumps(cfg, sort_keys=True)


def write_config(run: Run) -> Path:
    """Keep the resolved config in the folder of the run; a resumed run's earlier one stays."""
    path = run.config_file
    # as text, because reading turns some of json's lists back into tuples
    if path.exists() and _as_text(read(path)) != _as_text(run.cfg):
        path = Path(unused_path(path))
    if not path.exists():
        write_json(path, run.cfg)
    return path


def data_fault(cfg: dict) -> str | None:
    """The first fault of a config's data that a quick look finds, and how many there are."""
    from mmseg.datasets.inspection import quick_errors
    faults = quick_errors(Config(cfg))
    if not faults:
        return None
    return f'{faults[0]} (faults in the data: {len(faults)}; tools/check_dataset.py tells them all)'


def train(run: Run) -> str | None:
    """Train in this process; returns in one line why it failed, None if it did not."""
    try:
        fault = data_fault(run.cfg)
        if fault:
            return fault
        argv = [str(write_config(run))]
        if run.resume_from is not None:
            argv += ['--resume-from', str(run.resume_from)]
        # it needs the whole package, which --list and --dry-run do not
        from tools import train as program
        code = inspect.unwrap(program.main)(argv)
    except UserError as error:
        return str(error)
    except SystemExit as end:
        code = end.code
    except Exception as error:
        traceback.print_exc()
        return ' '.join(f'{type(error).__name__}: {error}'.split())
    return f'exit code {code}' if code else None


def _train_and_report(run: Run, connection) -> None:
    connection.send(train(run))
    connection.close()


def train_apart(run: Run) -> str | None:
    """As :func:`train`, in a process of its own, so that one run's memory, loggers and random state
    do not reach the next.
    """
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_train_and_report, args=(run, there))
    process.start()
    there.close()
    try:
        reason = here.recv()
    except EOFError:
        reason = 'its process ended without a report (killed, or out of memory)'
    process.join()
    return reason


def launch(runs: list[Run]) -> int:
    """Train all; returns the exit code."""
    failed: list[tuple[Run, str]] = []
    start = train if len(runs) == 1 else train_apart
    for number, run in enumerate(runs, 1):
        print(f'[{number}/{len(runs)}] {run.cfg["name"]} in {run.work_dir}', flush=True)
        reason = start(run)
        if reason is not None:
            failed.append((run, reason))
    print(f'{len(runs) - len(failed)} of {len(runs)} runs finished')
    for run, reason in failed:
        sys.stderr.write(f'error: {run.work_dir}: {reason}\n')
    return 1 if failed else 0


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
    return launch(runs)


if __name__ == '__main__':
    main()
