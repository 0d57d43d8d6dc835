"""Train a network, or a UDA method around it, as a config says.

    python tools/train.py CONFIG [--work-dir DIR] [--resume-from CHECKPOINT] [--options key=value …]
    torchrun --nproc_per_node N tools/train.py CONFIG --launcher pytorch
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from mmseg import __version__
from mmseg.apis import set_random_seed
from mmseg.apis.train import check_settings, train_segmentor
from mmseg.datasets import build_train_dataset
from mmseg.models.builder import build_train_model
from mmseg.utils import UserError, get_root_logger, one_line_errors
from mmseg.utils.collect_env import collect_env
from mmseg.utils.config import Config, load_config, parse_options
from mmseg.utils.distributed import LAUNCHERS, join_processes
from mmseg.utils.files import write_bytes, write_json

REPOSITORY = Path(__file__).resolve().parent.parent
NEEDED_KEYS = ('model', 'data', 'optimizer', 'lr_config', 'runner')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', metavar='DIR', help='folder of the run (default: the config says, or '
                        'work_dirs/ and the config\'s name)')
    start = parser.add_mutually_exclusive_group()
    start.add_argument('--load-from', metavar='FILE', help='begin with the weights of this checkpoint')
    start.add_argument('--resume-from', metavar='FILE', help='go on with the training of this checkpoint')
    parser.add_argument('--no-validate', action='store_true', help='do not evaluate while training')
    parser.add_argument('--seed', type=int, help='of everything random (default: the config says, or 0)')
    parser.add_argument('--deterministic', action='store_true', help='deterministic cuDNN algorithms')
    parser.add_argument('--device', default='auto', help='auto (default), cpu, cuda:0, …')
    parser.add_argument('--options', '--cfg-options', dest='options', nargs='+', metavar='KEY=VALUE',
                        help='change the config, e.g. runner.max_iters=100')
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none',
                        help='how several processes were started')
    return parser.parse_args(argv)


def resolved_config(args: argparse.Namespace) -> Config:
    """The config with what the command line says put over it."""
    cfg = load_config(args.config, parse_options(args.options))
    for key in NEEDED_KEYS:
        if key not in cfg:
            raise UserError(f"the config '{args.config}' has no key '{key}', which training needs")
    for key in ('work_dir', 'load_from', 'resume_from', 'seed'):
        if getattr(args, key) is not None:
            cfg[key] = getattr(args, key)
    cfg.setdefault('work_dir', str(Path('work_dirs') / Path(args.config).stem))
    if cfg.get('seed') is None:
        cfg.seed = 0
    return cfg


def refuse_used_folder(cfg: Config) -> None:
    """A new run does not write into the folder of an earlier one."""
    if not cfg.get('resume_from') and any(Path(cfg.work_dir).glob('*.pth')):
        raise UserError(f"'{cfg.work_dir}' holds the checkpoints of an earlier run: go on with it "
                        '(--resume-from) or choose another --work-dir')


def git_revision() -> str:
    """Commit of the code, '+' if files differ from it; 'unknown' outside a repository."""
    git = ['git', '-C', str(REPOSITORY)]
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
                exp_name=cfg.get('name', Path(args.config).stem), config=cfg.pretty_text)


@one_line_errors
def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = resolved_config(args)
    refuse_used_folder(cfg)
    check_settings(cfg)
    local_rank = join_processes(args.launcher)
    distributed = local_rank is not None
    if distributed and args.device == 'auto' and torch.cuda.is_available():
        torch.cuda.set_device(local_rank)
        args.device = f'cuda:{local_rank}'
    torch.backends.cudnn.benchmark = bool(cfg.get('cudnn_benchmark')) and not args.deterministic
    set_random_seed(cfg.seed, args.deterministic)
    model = build_train_model(cfg)
    dataset = build_train_dataset(cfg.data)
    if not cfg.get('resume_from'):
        model.init_weights()
    os.makedirs(cfg.work_dir, exist_ok=True)
    timestamp = time.strftime('%Y%m%d_%H%M%S')
    logger = get_root_logger(str(Path(cfg.work_dir) / f'{timestamp}.log'), cfg.get('log_level', 'INFO'))
    meta = keep_records(cfg, args, timestamp) if local_rank in (None, 0) else {}
    meta.update(CLASSES=list(dataset.CLASSES), PALETTE=[list(colour) for colour in dataset.PALETTE])
    logger.info(f'{meta.get("exp_name")}: seed {cfg.seed}, {len(dataset)} training items')
    if getattr(dataset, 'note', None):
        logger.info(dataset.note)
    train_segmentor(model, dataset, cfg, distributed, validate=not args.no_validate, timestamp=timestamp,
                    meta=meta, device=args.device)


if __name__ == '__main__':
    main()
