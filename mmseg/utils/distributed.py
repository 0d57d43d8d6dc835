"""Joining the processes of a distributed program, and what they tell each other."""
from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean
from typing import Any, TypeVar

import torch
from torch import nn
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.nn.parallel import DistributedDataParallel

from .errors import UserError

LAUNCHERS = ('none', 'pytorch', 'slurm')
DEFAULT_PORT = '29500'
T = TypeVar('T')


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
        # Its functions have the group of this moment as their default: imported later, by PyTorch's compiler,
        # they keep it, and its threads, to the end of Python (see peers).
        importlib.import_module('torch.distributed.nn.functional')
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


def world() -> tuple[int, int]:
    """Rank and number of processes of torch.distributed; (0, 1) if it is not running."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1


def get_world_size() -> int:
    """1 if torch.distributed is not running."""
    return world()[1]


def of_all_processes(value: torch.Tensor) -> torch.Tensor:
    """The tensors of all processes (n …), of one shape, behind one another in their order. All call this
    together."""
    if get_world_size() == 1:
        return value
    parts = [torch.empty_like(value) for _ in range(get_world_size())]
    torch.distributed.all_gather(parts, value.contiguous())
    return torch.cat(parts)


def run_on_main_process(find: Callable[[], T]) -> T:
    """What ``find`` returns in the first process, in all; it is called in the first alone. All processes
    call this together.

    Raises:
        UserError: that ``find`` raised; in all.
    """
    if get_world_size() == 1:
        return find()
    found: list[Any] = [None, None]
    if torch.distributed.get_rank() == 0:
        try:
            found[0] = find()
        except UserError as error:
            found[1] = str(error)
    torch.distributed.broadcast_object_list(found)
    if found[1] is not None:
        raise UserError(found[1])
    return found[0]


@contextlib.contextmanager
def failing_together(group: torch.distributed.ProcessGroup | None = None) -> Iterator[None]:
    """Inside the block each process works alone. All come to its end, and if one has failed, all fail: it
    with its own error, the others with a UserError that names it.

    Args:
        group: of all processes, on whose devices they tell each other; None for the default one.
    """
    own: Exception | None = None
    try:
        yield
    except Exception as error:
        own = error
    found: list[str | None] = [None] * get_world_size()
    if len(found) > 1:
        torch.distributed.all_gather_object(found, None if own is None else str(own), group)
    if own is not None:
        raise own
    for rank, reason in enumerate(found):
        if reason is not None:
            raise UserError(f'process {rank}: {reason}')


def parallel(network: nn.Module, device: torch.device,
             compression: str | None = None) -> DistributedDataParallel:
    """``network``, which lies on ``device``, with gradients averaged over the processes.

    Every parameter has to take part in every step (torch's ``find_unused_parameters`` is off: it would
    look for them anew in each). BatchNorm's running statistics are each process's own: broadcasting them
    in every forward pass would cost time and change no gradient. Use SyncBN where the statistics of the
    batch have to be those of all processes.

    Args:
        compression: 'bfloat16' exchanges the gradients in that precision, for slow networks.
    """
    # later versions of torch have another name for the argument and warn of this one
    known = inspect.signature(DistributedDataParallel).parameters
    settings: dict[str, Any] = {
        'forward_sync_buffers' if 'forward_sync_buffers' in known else 'broadcast_buffers': False}
    wrapped = DistributedDataParallel(network, device_ids=None if device.type == 'cpu' else [device],
                                      gradient_as_bucket_view=True, **settings)
    if compression is not None:
        wrapped.register_comm_hook(None, default_hooks.bf16_compress_hook)
    return wrapped


def mean_over_processes(values: Mapping[str, float]) -> dict[str, float]:
    """Each value's mean over the processes that have it. All processes call this together."""
    found: list[dict[str, float]] = [{}] * get_world_size()
    torch.distributed.all_gather_object(found, dict(values))
    names = dict.fromkeys(name for part in found for name in part)
    return {name: fmean(part[name] for part in found if name in part) for name in names}


INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by bytes


def checksums(model: nn.Module) -> torch.Tensor:
    """One int64 for each parameter, on its device: the sum of its bits, so equal parameters have equal ones
    whatever the order of summation."""
    return torch.stack([p.detach().view(INTEGERS[p.element_size()]).sum(dtype=torch.int64)
                        for p in model.parameters()])


def refuse_different_parameters(model: nn.Module, when: str) -> None:
    """All processes call this together; each fetches a number a parameter.

    Args:
        when: for the message, e.g. 'after step 2000'.

    Raises:
        UserError: a parameter differs between the processes; on all of them.
    """
    own = checksums(model)
    found = [torch.empty_like(own) for _ in range(get_world_size())]
    torch.distributed.all_gather(found, own)
    for rank, other in enumerate(found[1:], 1):
        differing = (other != found[0]).nonzero().flatten().tolist()
        if differing:
            first = [name for name, _ in model.named_parameters()][differing[0]]
            raise UserError(f'{when} the processes 0 and {rank} do not have the same parameters '
                            f"({len(differing)} differ, the first is '{first}'): go on from the last "
                            'checkpoint; if it happens again, look for files that differ between the '
                            'machines, a hook that changes weights, or a defective device')
