"""What happens between the losses of a step and the new parameters, in one place."""
from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmseg.utils import UserError

NONFINITE = ('stop', 'skip')


class OptimizerStep:
    """One update of the parameters from one or several backward passes.

    A model hands its batch and its passes to ``run``; within them it calls ``backward`` for each of its
    losses. Accumulation, the scale of float16's gradients and clipping belong here, so no method has to
    know of them.

    A step is an update, whatever number of passes it takes: with ``cumulative_iters=N`` the batch of a step
    is cut into N parts, one after another through the network, and learning rate, teacher, evaluation,
    checkpoints and logs count updates. (The hook of mmcv whose name the setting has counts parts.)

    Args:
        optimizer: any torch optimizer.
        grad_clip: keyword arguments of ``torch.nn.utils.clip_grad_norm_``, e.g. ``dict(max_norm=35)``.
        nonfinite: 'skip' makes no update where a gradient is NaN or infinite, and logs 'skipped' (0 or 1).
            To know it, every step waits for the device. The processes of a distributed training have
            the same gradients, and so skip together. 'stop' looks at nothing here, see FiniteLossHook.
        cumulative_iters: N, number of parts.
        scaler: for float16. It leaves out updates whose gradients overflow, and then lowers its scale;
            to know it, every step waits for the device (not with ``fused`` optimizers).
    """

    def __init__(self, optimizer: torch.optim.Optimizer, grad_clip: dict | None = None,
                 nonfinite: str = 'stop', cumulative_iters: int = 1,
                 scaler: torch.amp.GradScaler | None = None):
        if nonfinite not in NONFINITE:
            raise UserError(f"optimizer_config.nonfinite is {nonfinite!r}, expected 'stop' or 'skip'")
        self.optimizer, self.grad_clip, self.nonfinite = optimizer, grad_clip, nonfinite
        self.parts, self.scaler = cumulative_iters, scaler
        self._in_last_part = True

    # ------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the scale of float16's gradients; nothing otherwise."""
        return {} if self.scaler is None else {'scaler': self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """A state without a scale, of a training in another precision, lets it begin anew."""
        if self.scaler is not None and state.get('scaler'):
            self.scaler.load_state_dict(state['scaler'])

    # -------------------------------------------------------------------- step

    def run(self, data_batch: Mapping[str, Any], passes: Callable[[dict], dict]) -> dict[str, Any]:
        """The whole step.

        Args:
            data_batch: tensors and lists with an entry for each of the B samples.
            passes: makes the passes of a part of the batch, backward ones included, and returns a dict with
                ``log_vars``.

        Returns:
            what ``passes`` returned for the first part, with ``log_vars`` averaged over the parts, and
            ``num_samples``, B.
        """
        self.begin()
        outputs = [passes(part) for part in self._parts_of(data_batch)]
        log_vars = mean_of([output['log_vars'] for output in outputs])
        log_vars.update(self.finish())
        return dict(outputs[0], log_vars=log_vars, num_samples=len(data_batch['img']))

    def _parts_of(self, data_batch: Mapping[str, Any]) -> Iterator[dict]:
        samples = len(data_batch['img'])
        if samples % self.parts:
            raise UserError(f'a batch of {samples} cannot be cut into {self.parts} equal parts '
                            '(optimizer_config.cumulative_iters)')
        size = samples // self.parts
        for part in range(self.parts):
            self._in_last_part = part == self.parts - 1
            yield {key: value[part * size:(part + 1) * size] for key, value in data_batch.items()}

    def no_exchange(self, network: nn.Module, last: bool = True) -> contextlib.AbstractContextManager:
        """For the forward pass of a ``network`` that may be parallel: its gradients are not exchanged between
        the processes, unless it is the last pass of the step.

        Args:
            last: whether it is the last pass of its part.
        """
        parallel = isinstance(network, DistributedDataParallel)
        if not parallel or (last and self._in_last_part):
            return contextlib.nullcontext()
        return network.no_sync()

    def run_on_loss(self, loss: Tensor) -> dict[str, Tensor | float]:
        """The step of a model that left its ``loss`` to others; returns what should be logged.

        Raises:
            UserError: there should be several parts, which only the model could make.
        """
        if self.parts > 1:
            raise UserError(f'optimizer_config.cumulative_iters={self.parts}: this model makes its passes '
                            'without OptimizerStep.run, which cuts its batch into parts')
        self.begin()
        self.backward(loss)
        return self.finish()

    def begin(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss`` (a 0-dim tensor)."""
        self.scaled(loss).backward()

    def scaled(self, value: Tensor) -> Tensor:
        """``value`` times the factor that gradients have before ``finish``."""
        if self.parts > 1:
            value = value / self.parts
        return value if self.scaler is None else self.scaler.scale(value)

    def finish(self) -> dict[str, Tensor | float]:
        """Clip, update the parameters, return what should be logged."""
        log_vars = {}
        params = [p for group in self.optimizer.param_groups for p in group['params'] if p.grad is not None]
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        if self.grad_clip is not None:
            log_vars['grad_norm'] = torch.nn.utils.clip_grad_norm_(params, **self.grad_clip)
        finite = True
        if self.nonfinite == 'skip':
            finite = bool(torch.stack([p.grad.isfinite().all() for p in params]).all())
            log_vars['skipped'] = float(not finite)
        if self.scaler is not None:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif finite:
            self.optimizer.step()
        return log_vars


def mean_of(log_vars: list[dict[str, Tensor | float]]) -> dict[str, Tensor | float]:
    """Of values by name; the first of them has all names."""
    if len(log_vars) == 1:
        return log_vars[0]
    return {name: sum(values[name] for values in log_vars) / len(log_vars) for name in log_vars[0]}


def as_optimizer_step(optimizer: torch.optim.Optimizer | OptimizerStep) -> OptimizerStep:
    return optimizer if isinstance(optimizer, OptimizerStep) else OptimizerStep(optimizer)
