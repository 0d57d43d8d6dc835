"""What happens between the losses of a step and the new parameters, in one place."""
from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mmseg.utils import UserError

NONFINITE = ('stop', 'skip')


class OptimizerStep:
    """One update of the parameters from one or several backward passes.

    A method calls ``begin``, ``backward`` for each of its losses, ``finish``. Clipping of the gradients
    belongs here, so no method has to know of it.

    Args:
        optimizer: any torch optimizer.
        grad_clip: keyword arguments of ``torch.nn.utils.clip_grad_norm_``, e.g. ``dict(max_norm=35)``.
        nonfinite: 'skip' makes no update where a gradient is NaN or infinite, and logs 'skipped' (0 or 1).
            To know it, every step waits for the device. The processes of a distributed training have
            the same gradients, and so skip together. 'stop' looks at nothing here, see FiniteLossHook.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, grad_clip: dict | None = None,
                 nonfinite: str = 'stop'):
        if nonfinite not in NONFINITE:
            raise UserError(f"optimizer_config.nonfinite is {nonfinite!r}, expected 'stop' or 'skip'")
        self.optimizer, self.grad_clip, self.nonfinite = optimizer, grad_clip, nonfinite

    def begin(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss`` (a 0-dim tensor)."""
        loss.backward()

    def finish(self) -> dict[str, Tensor]:
        """Clip, update the parameters, return what should be logged."""
        log_vars = {}
        params = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        if self.grad_clip is not None:
            log_vars['grad_norm'] = torch.nn.utils.clip_grad_norm_(params, **self.grad_clip)
        if self.nonfinite == 'skip':
            finite = bool(torch.stack([p.grad.isfinite().all() for p in params]).all())
            log_vars['skipped'] = float(not finite)
            if not finite:
                return log_vars
        self.optimizer.step()
        return log_vars


def as_optimizer_step(optimizer: torch.optim.Optimizer | OptimizerStep) -> OptimizerStep:
    return optimizer if isinstance(optimizer, OptimizerStep) else OptimizerStep(optimizer)


Backward = Callable[[Tensor], None]
