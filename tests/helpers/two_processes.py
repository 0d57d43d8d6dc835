"""Processes that start from a clean one, and two that train together (gloo)."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

# Children of a process that imports and does nothing else: one that is forked from a process that has made
# backward passes, or has threads, may wait for ever. The compiler is what PyTorch's optimisers import.
CLEAN = multiprocessing.get_context('forkserver')
CLEAN.set_forkserver_preload(['mmseg.apis.train', 'torch._dynamo', 'torchvision'])


def _one(rank: int, folder: Path, work: Callable[..., Any], arguments: tuple) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    torch.save(work(rank, *arguments), folder / f'{rank}.pth')
    distributed.destroy_process_group()


def both(folder: Path, work: Callable[..., Any], *arguments: Any) -> list:
    """What ``work(rank, *arguments)`` returns on each of two processes. All of it can be pickled."""
    multiprocessing.start_processes(_one, (folder, work, arguments), nprocs=2, start_method='forkserver')
    return [torch.load(folder / f'{rank}.pth', weights_only=False) for rank in (0, 1)]
