"""Too little memory, told in one line that says what to lower."""
from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator

import torch
from torch import nn

from mmseg.utils import UserError

# What the allocators of torch and CUDA's libraries say.
SIGNS = ("can't allocate memory", 'not enough memory', 'CUDA error: out of memory', 'ALLOC_FAILED')
GIB = 2 ** 30
EVALUATION = 'evaluation.samples_per_gpu, or predict in windows (model.test_cfg.mode=slide)'


@contextlib.contextmanager
def oom_guard(device: torch.device, what: str, lower: str | Callable[[], str]) -> Iterator[None]:
    """Inside the block, too little memory becomes a UserError.

    Args:
        device: where the networks are; the error names its peak.
        what: what does not fit, e.g. 'a training step'.
        lower: what to lower; a function is called when it has to be told.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        lower = lower() if callable(lower) else lower
        reason = str(error).strip().partition('\n')[0].partition('. ')[0] or type(error).__name__
        raise UserError(f'{what} does not fit into the memory of {device} (peak so far: {_peak(device)}; '
                        f'{reason}): lower {lower}') from None


def _is_out_of_memory(error: Exception) -> bool:
    return (isinstance(error, (MemoryError, torch.OutOfMemoryError))
            or any(sign in str(error) for sign in SIGNS))


def _peak(device: torch.device) -> str:
    """Of tensors on a GPU, of the whole process on a CPU."""
    if device.type == 'cuda' and torch.cuda.is_available():
        most, there = torch.cuda.max_memory_allocated(device), torch.cuda.mem_get_info(device)[1]
        return f'{most / GIB:.2f} GiB of {there / GIB:.2f}'
    return f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB:.2f} GiB'


def step_remedies(model: nn.Module, samples: int) -> str:
    """What lowers the memory of a training step, of that what is not done yet.

    Args:
        samples: that pass through the network together.
    """
    modules = list(model.modules())
    found = ['the crops']
    if samples > 1:
        found.insert(0, f'data.samples_per_gpu (now {samples}; optimizer_config.cumulative_iters makes up '
                        'for it)')
    switches = []
    if any(getattr(module, 'with_cp', None) is False for module in modules):
        switches.append('model.backbone.with_cp=True')
    if any(getattr(module, 'amp_dtype', ...) is None for module in modules):
        switches.append('amp.dtype=bfloat16')
    return ' or '.join(found) + (f'; or set {" and ".join(switches)}' if switches else '')
