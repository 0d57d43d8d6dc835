"""Joining the processes of a distributed program."""
from __future__ import annotations

import os
import subprocess

import torch

from .errors import UserError

LAUNCHERS = ('none', 'pytorch', 'slurm')
DEFAULT_PORT = '29500'


def join_processes(launcher: str = 'none') -> int | None:
    """Start torch.distributed if this process is one of several.

    NCCL where there are GPUs, gloo elsewhere.

    Args:
        launcher: 'pytorch' for torchrun, whose environment variables are also recognised with
            'none'; 'slurm' for srun.

    Returns:
        the number of this process on its machine, or None if it runs alone.

    Raises:
        UserError: the environment lacks what the launcher should have set.
    """
    if launcher == 'slurm':
        _translate_slurm()
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK') if name not in os.environ]
    if missing:
        if launcher == 'none':
            return None
        raise UserError(f'--launcher {launcher}: the environment has no {missing[0]}: start the '
                        'program with torchrun, or without --launcher')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('nccl' if torch.cuda.is_available() else 'gloo')
    return int(os.environ['LOCAL_RANK'])


def _translate_slurm() -> None:
    """Name slurm's variables as torch.distributed knows them."""
    names = {'RANK': 'SLURM_PROCID', 'WORLD_SIZE': 'SLURM_NTASKS', 'LOCAL_RANK': 'SLURM_LOCALID'}
    for name, slurm_name in names.items():
        if slurm_name not in os.environ:
            raise UserError(f'--launcher slurm: the environment has no {slurm_name}: start the '
                            'program with srun')
        os.environ[name] = os.environ[slurm_name]
    if 'MASTER_ADDR' not in os.environ:
        hosts = subprocess.run(['scontrol', 'show', 'hostname', os.environ['SLURM_NODELIST']],
                               check=True, capture_output=True, text=True).stdout
        os.environ['MASTER_ADDR'] = hosts.split()[0]
    os.environ.setdefault('MASTER_PORT', DEFAULT_PORT)
