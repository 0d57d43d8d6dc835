"""Noticing losses and weights that are no numbers, without waiting for the device in every step."""
from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from mmcv.runner import Hook
from torch import Tensor, nn

from .failure_dump import dump_nonfinite_step


class NonFiniteTracker:
    """Remembers, on the device, the first step that had a NaN or infinite loss.

    ``note`` enqueues a few tiny operations; only ``read`` synchronizes with the GPU.
    """

    def __init__(self) -> None:
        self._step: Tensor | None = None

    def note(self, step: int, log_vars: Mapping[str, Any]) -> None:
        """Look at what a step logs: 0-dim tensors (left on their device) and numbers. Norms of gradients
        are passed over: they are infinite in a step that mixed precision skips."""
        values = [value for name, value in log_vars.items()
                  if not name.rpartition('.')[2].startswith('grad')]
        tensors = [value.detach().float() for value in values if isinstance(value, Tensor)]
        numbers = [value for value in values if not isinstance(value, Tensor)]
        if not all(map(math.isfinite, numbers)):
            tensors.append(torch.tensor(math.nan, device=tensors[0].device if tensors else None))
        if not tensors:
            return
        if self._step is None:
            self._step = torch.full((), -1, dtype=torch.int64, device=tensors[0].device)
        bad = ~torch.stack(tensors).isfinite().all() & (self._step < 0)
        self._step.masked_fill_(bad, step)

    def read(self) -> int | None:
        """The step (counted from 0), or None."""
        step = -1 if self._step is None else int(self._step)
        return None if step < 0 else step


def bad_parameter(model: nn.Module) -> str | None:
    """The name of a weight (a parameter, or a running statistic) with a NaN or an infinity in it, or None."""
    named = [(name, value) for name, value in model.state_dict().items() if value.is_floating_point()]
    if not named:
        return None
    finite = torch.stack([value.detach().isfinite().all() for _, value in named]).tolist()
    return next((name for (name, _), good in zip(named, finite) if not good), None)


class FiniteLossHook(Hook):
    """Every ``interval`` steps, when the log fetches its values anyway, look whether all losses since the
    last time were numbers; the run ends if not (see ``dump_nonfinite_step``). Checkpoints look as well.
    """

    def __init__(self, interval: int):
        self.interval = interval

    def after_train_iter(self, runner) -> None:
        if self.every_n_iters(runner, self.interval):
            step = runner.nonfinite_tracker.read()
            if step is not None:
                dump_nonfinite_step(runner, step)
