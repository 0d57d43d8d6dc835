"""What happens between the losses of a step and the new parameters, in one place."""
from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from mmseg.utils import ConfigError, UserError

if TYPE_CHECKING:
    from .method import Method, Pass

Optimizers = torch.optim.Optimizer | Mapping[str, torch.optim.Optimizer]
NONFINITE = ('stop', 'skip')


class OptimizerStep:
    """One update of the parameters from one or several backward passes.

    ``make`` takes the passes that a method plans for its batch. Backward passes, accumulation, the scale of
    float16's gradients, the exchange between processes and clipping belong here, so no method has to know of
    them.

    A step is an update, whatever number of passes it takes: with ``cumulative_iters=N`` the batch of a step
    is cut into N parts, one after another through the network, and learning rate, teacher, evaluation,
    checkpoints and logs count updates. (The hook of mmcv whose name the setting has counts parts.)

    Args:
        optimizer: any torch optimizer, or several by name, which are stepped one after another.
        grad_clip: keyword arguments of ``torch.nn.utils.clip_grad_norm_``, e.g. ``dict(max_norm=35)``, for
            the parameters of each optimizer.
        nonfinite: 'skip' makes no update where a gradient is NaN or infinite, and logs 'skipped' (0 or 1).
            To know it, every step synchronizes with the GPU. The processes of a distributed training have
            the same gradients, and so skip together. 'stop' looks at nothing here, see FiniteLossHook.
        cumulative_iters: N, number of parts.
        scaler: for float16. It leaves out updates whose gradients overflow, and then lowers its scale;
            to know it, every step synchronizes with the GPU (not with ``fused`` optimizers).
    """

    def __init__(self, optimizer: Optimizers, grad_clip: dict | None = None,
                 nonfinite: str = 'stop', cumulative_iters: int = 1,
                 scaler: torch.amp.GradScaler | None = None):
        if nonfinite not in NONFINITE:
            raise UserError(f"optimizer_config.nonfinite is {nonfinite!r}, expected 'stop' or 'skip'")
        self.optimizers = dict(optimizer) if isinstance(optimizer, Mapping) else {'': optimizer}
        self.grad_clip, self.nonfinite = grad_clip, nonfinite
        self.accumulation_steps, self.scaler = cumulative_iters, scaler

    # ------------------------------------------------------------------- state

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the scale of float16's gradients; nothing otherwise."""
        return {} if self.scaler is None else {'scaler': self.scaler.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """A state without a scale, of a training in another precision, lets it begin anew."""
        if self.scaler is not None and state.get('scaler'):
            self.scaler.load_state_dict(state['scaler'])

    # -------------------------------------------------------------------- step

    def make(self, method: Method, data_batch: Mapping[str, Any]) -> dict[str, Any]:
        """The whole step of a method.

        Args:
            data_batch: tensors and lists with an entry for each of the B samples.

        Returns:
            ``log_vars``, averaged over the parts, ``num_samples``, B, and ``visuals`` if the first part has
            any.
        """
        method.begin_step()
        self.begin()
        parts = [self._passes(method, part, last) for part, last in self._parts_of(data_batch)]
        log_vars = mean_of([found for found, _ in parts])
        log_vars.update(self.finish())
        method.end_step()
        outputs = dict(log_vars=log_vars, num_samples=len(data_batch['img']))
        return outputs if parts[0][1] is None else dict(outputs, visuals=parts[0][1])

    def _parts_of(self, data_batch: Mapping[str, Any]) -> Iterator[tuple[dict, bool]]:
        """The parts of a batch, each with whether it is the last one."""
        samples = len(data_batch['img'])
        if samples % self.accumulation_steps:
            raise UserError(f'a batch of {samples} cannot be cut into {self.accumulation_steps} equal parts '
                            '(optimizer_config.cumulative_iters)')
        size = samples // self.accumulation_steps
        for part in range(self.accumulation_steps):
            yield ({key: value[part * size:(part + 1) * size] for key, value in data_batch.items()},
                   part == self.accumulation_steps - 1)

    def _passes(self, method: Method, part: dict, last: bool) -> tuple[dict[str, Tensor], dict | None]:
        """All passes of a part; their log values, and visuals. The graph of one is gone before the next."""
        log_vars: dict[str, Tensor] = {}
        visuals = None
        passes = method.planned(part)
        if method.replays_graphs:
            self._check_replay(len(passes))
        for i, one in enumerate(passes):
            later = {name for other in passes[i + 1:] for name in other.trains}
            logged, seen = self._pass(method, one, {*one.trains} - later if last else ())
            log_vars.update(logged)
            visuals = visuals or seen
        return log_vars, visuals

    def _check_replay(self, passes: int) -> None:
        """
        Raises:
            ConfigError: there are several backward passes a step, and the second would overwrite what the
                first left in the memory of the graph (pytorch#169545, #96693).
        """
        backward = passes * self.accumulation_steps
        if backward > 1:
            raise ConfigError('the key compile replays CUDA graphs, which is safe with one backward pass a '
                              f'step, and this step has {backward}: take compile=True, or '
                              'uda.joint_encoder=True without cumulative_iters')
        torch.compiler.cudagraph_mark_step_begin()

    def _pass(self, method: Method, one: Pass,
              exchanged: Collection[str]) -> tuple[dict[str, Tensor], dict | None]:
        with method.during(one, exchanged):
            terms = one.terms()
            self.backward(terms.total())
        logged = terms.logged()
        if method.replays_graphs:  # into the memory that these values may lie in
            logged = {name: value.clone() for name, value in logged.items()}
        if one.log_gradients:
            logged[one.log_gradients] = self._mean_gradient(method, one.trains)
        return logged, terms.visuals

    def _mean_gradient(self, method: Method, names: Sequence[str]) -> Tensor:
        """The mean over the parameters of their gradients' mean magnitude."""
        networks = method.networks()
        magnitude = torch.stack([p.grad.abs().mean() for name in names for p in networks[name].parameters()
                                 if p.grad is not None]).mean()
        return magnitude / self.scaled(torch.ones_like(magnitude))

    def run_on_loss(self, loss: Tensor) -> dict[str, Tensor | float]:
        """The step of a model that is no ``Method`` and left its ``loss`` to others; returns what should be
        logged.

        Raises:
            UserError: there should be several parts, into which the batch of a method alone is cut.
        """
        if self.accumulation_steps > 1:
            raise UserError(f'optimizer_config.cumulative_iters={self.accumulation_steps}: this model is no '
                            'mmseg.core.method.Method, whose batch is cut into parts')
        self.begin()
        self.backward(loss)
        return self.finish()

    def begin(self) -> None:
        for optimizer in self.optimizers.values():
            optimizer.zero_grad(set_to_none=True)

    def backward(self, loss: Tensor) -> None:
        """Add the gradient of ``loss`` (a 0-dim tensor)."""
        self.scaled(loss).backward()

    def scaled(self, value: Tensor) -> Tensor:
        """``value`` times the factor that gradients have before ``finish``."""
        if self.accumulation_steps > 1:
            value = value / self.accumulation_steps
        return value if self.scaler is None else self.scaler.scale(value)

    def finish(self) -> dict[str, Tensor | float]:
        """Clip, update the parameters, return what should be logged."""
        log_vars: dict[str, Tensor | float] = {}
        trained = {name: [p for group in one.param_groups for p in group['params'] if p.grad is not None]
                   for name, one in self.optimizers.items()}
        for name, optimizer in self.optimizers.items():
            if self.scaler is not None:
                self.scaler.unscale_(optimizer)
            if self.grad_clip is not None:
                key = f'grad_norm.{name}' if name else 'grad_norm'
                log_vars[key] = torch.nn.utils.clip_grad_norm_(trained[name], **self.grad_clip)
        finite = True
        if self.nonfinite == 'skip':
            grads = [p.grad.isfinite().all() for params in trained.values() for p in params]
            finite = bool(torch.stack(grads).all())
            log_vars['skipped'] = float(not finite)
        self._update(finite)
        return log_vars

    def _update(self, finite: bool) -> None:
        for optimizer in self.optimizers.values():
            if self.scaler is not None:
                self.scaler.step(optimizer)
            elif finite:
                optimizer.step()
            for group in optimizer.param_groups:
                for parameter in group['params']:  # fused kernels do not, and ``CastWeights`` goes by it
                    torch.autograd.graph.increment_version(parameter)
        if self.scaler is not None:
            self.scaler.update()


def mean_of(log_vars: Sequence[Mapping[str, Tensor | float]]) -> dict[str, Tensor | float]:
    """Of values by name; the first of them has all names."""
    if len(log_vars) == 1:
        return dict(log_vars[0])
    return {name: sum(values[name] for values in log_vars) / len(log_vars) for name in log_vars[0]}


def as_optimizer_step(optimizer: Optimizers | OptimizerStep) -> OptimizerStep:
    return optimizer if isinstance(optimizer, OptimizerStep) else OptimizerStep(optimizer)
