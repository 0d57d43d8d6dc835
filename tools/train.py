"""Train a network, or a UDA method around it, as a config says.

    python tools/train.py CONFIG [--work-dir DIR] [--resume auto] [--options key=value …]
    torchrun --nproc_per_node N tools/train.py CONFIG --launcher pytorch
"""
from __future__ import annotations

import argparse
import gc
import logging
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

if __name__ == '__main__':
    gc.disable()  # main switches it on again

import torch
from torch.utils.data import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg import __version__
from mmseg.apis import set_random_seed
from mmseg.apis.inference import choose_device
from mmseg.apis.train import check_settings, train_segmentor
from mmseg.checkpoint.files import newest_checkpoint
from mmseg.datasets import build_train_dataset
from mmseg.datasets.preparation.inspection import quick_errors, validation_faults
from mmseg.experiments.runs import run_lock
from mmseg.models.builder import build_train_model
from mmseg.report.closing import closing_lines
from mmseg.utils import ArgumentParser, UserError, get_root_logger, one_line_errors
from mmseg.utils.collect_env import collect_env
from mmseg.utils.config import Config, load_config, parse_options
from mmseg.utils.config_check import check_config
from mmseg.utils.config_text import text_of_config
from mmseg.utils.distributed import LAUNCHERS, run_on_main_process, world
from mmseg.utils.files import write_bytes, write_json
from mmseg.utils.memory import keep_freed_memory
from mmseg.utils.peers import joined
from mmseg.utils.project import IN_CHECKOUT, PROJECT

NEEDED_KEYS = ('model', 'data', 'optimizer', 'lr_config', 'runner')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', metavar='DIR', help='folder of the run (default: the config says, or '
                        'work_dirs/ and the config\'s name)')
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--load-from', metavar='FILE', help='begin with the weights of this checkpoint')
    start.add_argument('--resume-from', metavar='FILE', help='go on with the training of this checkpoint')
    start.add_argument('--resume', metavar='DIR|auto', help='go on from the latest checkpoint in this folder '
                       '(auto: that of the run) that can be read, or begin if there is none')
    parser.add_argument('--no-checks', action='store_true', help='begin without a look at the data and the '
                        'trial of one step')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate while training')
    parser.add_argument('--seed', type=int, help='of everything random (default: the config says, or 0)')
    parser.add_argument('--deterministic', action='store_true', help='the same bits each time, on a GPU too')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda:0, …')
    parser.add_argument('--options', '--cfg-options', dest='options', nargs='+', action='extend',
                        metavar='KEY=VALUE',
                        help='change the config, e.g. runner.max_iters=100')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none',
                        help='how several processes were started')
    return parser.parse_args(argv)


def resolved_config(args: argparse.Namespace) -> Config:
    """The config with what the command line says put over it."""
    cfg = load_config(args.config, parse_options(args.options))
    if cfg.get('stages'):
        raise UserError(f"the config '{args.config}' has stages before it ({', '.join(cfg.stages)}): "
                        'run_experiments.py --config trains them all')
    for key in NEEDED_KEYS:
        if key not in cfg:
            raise UserError(f"the config '{args.config}' has no key '{key}', which training needs")
    for key in ('work_dir', 'load_from', 'resume_from', 'seed'):
        if getattr(args, key) is not None:
            cfg[key] = getattr(args, key)
    if args.resume not in (None, 'auto'):
        if not Path(args.resume).is_dir():
            raise UserError(f"--resume: there is no folder '{args.resume}'")
        cfg.work_dir = args.work_dir or args.resume
    cfg.setdefault('work_dir', str(Path('work_dirs') / Path(args.config).stem))
    if cfg.get('seed') is None:
        cfg.seed = 0
    check_config(cfg._cfg_dict)
    return cfg


def refuse_used_folder(cfg: Config, args: argparse.Namespace) -> None:
    """A new run does not write into the folder of an earlier one."""
    if not cfg.get('resume_from') and not args.resume and any(Path(cfg.work_dir).glob('*.pth')):
        raise UserError(f"'{cfg.work_dir}' holds the checkpoints of an earlier run: go on with it "
                        '(--resume auto, --resume-from FILE) or choose another --work-dir')


def find_start(cfg: Config, args: argparse.Namespace) -> tuple[str | None, list[str]]:
    """The checkpoint that --resume means, and the lines to be told about it."""
    lines: list[str] = []
    folder = cfg.work_dir if args.resume == 'auto' else args.resume
    found = newest_checkpoint(folder, lines.append)
    if found:
        return str(found), lines
    start = f'goes on from {cfg.resume_from}' if cfg.get('resume_from') else 'begins'
    return None, [f"no checkpoint in '{folder}' yet: the training {start}"]


def check_data(cfg: Config, validates: bool) -> None:
    """A quick look at what the training is going to read."""
    parts = {part: cfg.data[part] for part in ('train', 'val')[:1 + validates] if part in cfg.data}
    faults = quick_errors(Config(dict(data=parts)))
    if faults:
        others = f' (faults in the data: {len(faults)}; tools/check_dataset.py tells them all)'
        raise UserError(faults[0] + others * (len(faults) > 1))
    for line in validation_faults(Config(dict(data=parts))) if validates else ():
        get_root_logger().warning(f'an evaluation will end the training: {line}')


def check_classes(dataset: Dataset, num_classes: int) -> None:
    """A label beyond the network's classes would stop a GPU without telling why. More classes in
    the network than in the data were mostly left by a base config."""
    if dataset.CLASSES is None:
        raise UserError(f'the training set ({type(dataset).__name__}) has no names of classes: set classes '
                        'in its config')
    if len(dataset.CLASSES) > num_classes:
        raise UserError(f'the training set has {len(dataset.CLASSES)} classes and the network {num_classes}: '
                        'set model.decode_head.num_classes')
    if len(dataset.CLASSES) < num_classes:
        get_root_logger().warning(f'the training set has {len(dataset.CLASSES)} classes and the network '
                                  f'{num_classes} (model.decode_head.num_classes)')


def git_revision() -> str:
    """Commit of the code, '+' if files differ from it; 'unknown' outside a repository."""
    git = ['git', '-C', str(PROJECT)]
    if not IN_CHECKOUT:  # it may be installed below somebody else's repository
        return 'unknown'
    try:
        commit, changed = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=True).stdout
            for command in (['rev-parse', 'HEAD'], ['status', '--porcelain', '--untracked-files=no']))
    except (OSError, subprocess.CalledProcessError):
        return 'unknown'
    return commit.strip() + ('+' if changed else '')


def keep_records(cfg: Config, args: argparse.Namespace, timestamp: str) -> dict:
    """Write the resolved config, the environment and the git revision into the run's folder.

    Returns:
        the meta data of its checkpoints.
    """
    folder, revision = Path(cfg.work_dir), git_revision()
    environment = collect_env()
    config_file = folder / f'{Path(args.config).stem}.json'
    if not config_file.exists():
        write_json(config_file, cfg._cfg_dict.to_dict())
    lines = [f'git revision: {revision}', f'command: {" ".join(sys.argv)}',
             *(f'{key}: {value}' for key, value in environment.items())]
    write_bytes(folder / f'{timestamp}.env.txt', ('\n'.join(lines) + '\n').encode())
    return dict(env_info='\n'.join(lines), git_revision=revision, seed=cfg.seed, mmseg_version=__version__,
                exp_name=cfg.get('name', Path(args.config).stem), config=text_of_config(cfg))


def open_folder(cfg: Config, args: argparse.Namespace, dataset: Dataset,
                writes: bool) -> tuple[logging.Logger, str, dict]:
    """Make the run's folder with its records; (logger, timestamp of this start, checkpoints' meta data)."""
    os.makedirs(cfg.work_dir, exist_ok=True)
    timestamp = time.strftime('%Y%m%d_%H%M%S')
    logger = get_root_logger(str(Path(cfg.work_dir) / f'{timestamp}.log'), cfg.get('log_level', 'INFO'))
    meta = keep_records(cfg, args, timestamp) if writes else {}
    meta.update(CLASSES=list(dataset.CLASSES), PALETTE=[list(colour) for colour in dataset.PALETTE])
    logger.info(f'{meta.get("exp_name")}: seed {cfg.seed}, {len(dataset)} training items')
    return logger, timestamp, meta


def choose_devices(args: argparse.Namespace, local_rank: int | None) -> None:
    """A GPU for each process of this machine, or the CPU."""
    if local_rank is not None and args.device == 'auto' and torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        args.device = f'cuda:{local_rank}'
    if choose_device(args.device).type == 'cpu':
        keep_freed_memory()


def train(cfg: Config, args: argparse.Namespace, distributed: bool) -> None:
    """Train in the run's folder, which is this job's."""
    notes, first = [], world()[0] == 0
    if args.resume:
        found, notes = run_on_main_process(lambda: find_start(cfg, args))
        cfg.resume_from = found or cfg.get('resume_from')
    if first and not args.no_checks:
        check_data(cfg, not args.no_validate)
    deterministic = args.deterministic or bool(cfg.get('deterministic'))
    torch.backends.cudnn.benchmark = bool(cfg.get('cudnn_benchmark')) and not deterministic
    set_random_seed(cfg.seed, deterministic)
    model = build_train_model(cfg)
    dataset = build_train_dataset(cfg.data)
    check_classes(dataset, model.num_classes)
    if not cfg.get('resume_from'):
        model.init_weights()
    logger, timestamp, meta = open_folder(cfg, args, dataset, first)
    for note in [*notes, *filter(None, [getattr(dataset, 'note', None)])]:
        logger.info(note)
    train_segmentor(model, dataset, cfg, distributed, validate=not args.no_validate, timestamp=timestamp,
                    meta=meta, device=args.device, rehearsal=not args.no_checks)


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    with joined(args.launcher) as local_rank, ExitStack() as stack:
        cfg = resolved_config(args)
        refuse_used_folder(cfg, args)
        check_settings(cfg)
        choose_devices(args, local_rank)
        run_on_main_process(lambda: stack.enter_context(run_lock(Path(cfg.work_dir))))
        train(cfg, args, distributed=local_rank is not None)
        if world()[0] == 0:
            print('\n'.join(closing_lines([Path(cfg.work_dir)])))


if __name__ == '__main__':
    main()
