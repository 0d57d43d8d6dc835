"""The training loop: mmcv's runner and hooks around keyed steps."""
from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from mmcv.runner import BaseRunner
from torch import distributed
from torch.utils.data import DataLoader

from mmseg.checkpoint.files import EVALUATION_DUE, point_to, remove_temporaries
from mmseg.checkpoint.validate import (
    check_optimizers,
    checked_meta,
    checked_step_state,
    checked_training_state,
)
from mmseg.checkpoint.weights import load_file, load_weights, save_checkpoint, state_dict_of
from mmseg.core.optimizer_step import Optimizers, OptimizerStep
from mmseg.datasets.loading.loader import translate_worker_errors, unwrap_batch
from mmseg.datasets.loading.prefetch import on_device_ahead
from mmseg.utils import CheckpointError, UserError, derive_seed, set_random_seed

from .determinism import determinism_guard
from .failure_dump import dump_nonfinite_step, sample_names
from .finite import NonFiniteTracker, bad_parameter
from .hooks.checkpoint_hook import CheckpointHook
from .log_buffer import TensorLogBuffer
from .out_of_memory import EVALUATION, oom_guard, step_remedies
from .stopping import StopRequest, TrainingInterrupted

# Keeps the random numbers of a step apart from those of its samples, keyed (seed, rank, step, n).
STEP_STREAM = 2 ** 31


def on_cpu(state: Any) -> Any:
    """``state`` with a copy on the CPU of every tensor in its dicts."""
    if isinstance(state, dict):
        return {key: on_cpu(value) for key, value in state.items()}
    return state.detach().to('cpu', copy=True) if isinstance(state, torch.Tensor) else state


class IterBasedRunner(BaseRunner):
    """Trains for ``max_iters`` steps.

    Step k starts from random states that depend on (seed, rank, k) alone, as its samples do, so a
    resumed run is the run that was interrupted.

    Args:
        model: has ``train_step(data_batch, optimizer)`` and lies on ``device``. If the step returns
            'loss', its backward pass and the update are done here; otherwise the model did them.
        seed: of the run.
        grad_clip, nonfinite, cumulative_iters, scaler: see ``OptimizerStep``.
        others: as of mmcv's ``BaseRunner``.
    """

    def __init__(self, model: torch.nn.Module, optimizer: Optimizers, work_dir: str, logger,
                 max_iters: int, device: torch.device, seed: int = 0, grad_clip: dict | None = None,
                 nonfinite: str = 'stop', cumulative_iters: int = 1,
                 scaler: torch.amp.GradScaler | None = None, meta: dict | None = None):
        super().__init__(model, optimizer=optimizer, work_dir=work_dir, logger=logger, meta=meta or {},
                         max_iters=max_iters)
        self.device, self.seed = device, seed
        self.log_buffer = TensorLogBuffer()
        self.optimizer_step = OptimizerStep(optimizer, grad_clip, nonfinite, cumulative_iters, scaler)
        self.nonfinite_tracker = NonFiniteTracker()
        self.saved: tuple[int, str] | None = None
        self._in_step = False
        self._in_training: tuple[list[torch.nn.Module], list[bool]] = [], []
        # for what the processes tell each other beside the gradients; works on the CPU
        self.group = distributed.new_group(backend='gloo') if self.world_size > 1 else None

    @property
    def steps_done(self) -> int:
        """Also within a step, once its update is made."""
        return self.iter + self._in_step

    def run(self, data_loader: DataLoader, workflow: Any = None) -> None:
        """Train from the current step to the last one.

        Args:
            data_loader: yields the batches of the steps from ``self.iter`` on.
            workflow: only ``[('train', 1)]`` exists; evaluation is a hook.

        Raises:
            UserError: bad data, a full disk, a worker that was killed, a loss that is no number.
            TrainingInterrupted: a signal asked for it; a checkpoint has been written.
        """
        if workflow and [tuple(flow) for flow in workflow] != [('train', 1)]:
            raise UserError(f"workflow {workflow}: only [('train', 1)] exists; use the key evaluation")
        self.logger.info(f'training in {self.work_dir}: steps {self.iter} to {self.max_iters}')
        if self.rank == 0:
            remove_temporaries(self.work_dir)
        self.data_loader = data_loader
        with translate_worker_errors(), StopRequest(self.group) as request:
            self.call_hook('before_run')
            self.call_hook('before_epoch')
            batches = on_device_ahead(data_loader, self.device)
            while self.iter < self.max_iters:
                self.train(next(batches))
                if self.iter < self.max_iters and (number := request.should_stop()):
                    self._leave(number)
            self.call_hook('after_epoch')
            self.call_hook('after_run')

    def train(self, data_batch: Any) -> None:
        """One step."""
        self.mode = 'train'
        self._to_training_mode()
        self.call_hook('before_train_iter')
        self.seed_step()
        with self.memory_of_step():
            batch = unwrap_batch(data_batch, self.device)
            outputs = self.model.train_step(batch, self.optimizer_step)
            if 'loss' in outputs:
                outputs['log_vars'].update(self.optimizer_step.run_on_loss(outputs['loss']))
        if self.optimizer_step.nonfinite == 'stop':
            self.nonfinite_tracker.note(self.iter, outputs['log_vars'])
        elif outputs['log_vars']['skipped']:
            self._tell_skipped(batch, outputs['log_vars'])
        self.log_buffer.update(outputs['log_vars'], outputs['num_samples'])
        self.batch, self.outputs = batch, outputs
        with self._updated(), oom_guard(self.device, 'what follows a step', EVALUATION):
            self.call_hook('after_train_iter')
        self._inner_iter += 1
        self._iter += 1

    def _to_training_mode(self) -> None:
        """``model.train()``, unless all modules are as it left them: to look takes a hundredth of its time,
        and it would take 13 ms of each step of MiT-B5."""
        modules, modes = self._in_training
        if not modules or [module.training for module in modules] != modes:
            self.model.train()
            modules = list(self.model.modules())
            self._in_training = modules, [module.training for module in modules]

    def _tell_skipped(self, batch: Any, log_vars: dict) -> None:
        """Report a step that made no update, and keep its values out of the means of the log."""
        self.meta['skipped_steps'] = self.meta.get('skipped_steps', 0) + 1
        self.logger.warning(
            f'skipping update at step {self.iter}: non-finite gradient ({self.meta["skipped_steps"]} such '
            f'steps so far); its samples: {", ".join(sample_names(batch))}')
        for name in [name for name in log_vars if name != 'skipped']:
            del log_vars[name]

    @contextlib.contextmanager
    def memory_of_step(self) -> Iterator[None]:
        """Tells a step that does not fit into the device's memory, or that --deterministic does not allow, in
        one line, which says what to change."""
        samples = getattr(self.data_loader.batch_sampler, 'batch_size', 1)
        samples //= self.optimizer_step.accumulation_steps
        remedies = partial(step_remedies, self.model, samples)
        with determinism_guard(), oom_guard(self.device, 'a training step', remedies):
            yield

    def seed_step(self) -> None:
        """Set the random states that the next step starts from."""
        set_random_seed(derive_seed(self.seed, self.rank, self.iter, STEP_STREAM))

    @contextlib.contextmanager
    def _updated(self) -> Iterator[None]:
        self._in_step = True
        try:
            yield
        finally:
            self._in_step = False

    def _leave(self, number: int) -> None:
        """End after the step that was just made."""
        self.save_steps()
        self.logger.info(f'{signal.Signals(number).name}: ended after step {self.iter} of {self.max_iters} '
                         f"with the checkpoint '{self.saved[1]}'; go on with --resume auto")
        raise TrainingInterrupted(number)

    def save_steps(self) -> None:
        """Write a checkpoint of the steps done, unless there is one."""
        if self.saved is None or self.saved[0] != self.steps_done:
            hooks = [hook for hook in self.hooks if isinstance(hook, CheckpointHook)]
            hooks[0].save(self) if hooks else self.save_checkpoint()

    def val(self, *args, **kwargs) -> None:
        raise NotImplementedError('evaluation is a hook')

    def save_checkpoint(self, out_dir: str | None = None, filename_tmpl: str = 'iter_{}.pth',
                        meta: dict | None = None, save_optimizer: bool = True,
                        create_symlink: bool = True) -> str:
        """Write ``iter_<N>.pth`` for the N steps done, and let ``latest.pth`` point to it. All processes
        call it, and the first one writes.

        Returns:
            the file's path.

        Raises:
            UserError: it cannot be written, or a loss or a parameter is no number (nothing is written then).
        """
        done = self.steps_done
        path = os.path.join(out_dir or self.work_dir, filename_tmpl.format(done))
        states = self._states_of_all()
        if self.rank == 0:
            state = {'training': states[0]} if states[0] is not None else {}
            if len(states) > 1:
                state['training_of_ranks'] = states
            if step_state := self.optimizer_step.state_dict():
                state['optimizer_step'] = step_state
            save_checkpoint(path, self.model, self.optimizer if save_optimizer else None,
                            {**self.meta, **(meta or {}), 'iter': done, 'time': time.asctime()}, **state)
            if create_symlink:
                point_to(os.path.join(os.path.dirname(path), 'latest.pth'), os.path.basename(path))
        self.saved = (done, path)
        return path

    def _states_of_all(self) -> list[dict | None]:
        """What each process keeps beside the weights. None of them goes on if one has lost its numbers."""
        bad = self.nonfinite_tracker.read()
        if bad is None and bad_parameter(self.model):
            bad = self.steps_done - 1
        state = on_cpu(self.model.training_state()) if hasattr(self.model, 'training_state') else None
        found = [(bad, state)]
        if self.group is not None:
            found = [(None, None)] * self.world_size
            distributed.all_gather_object(found, (bad, state), self.group)
        if bad is not None:
            dump_nonfinite_step(self, bad)
        for rank, (step, _) in enumerate(found):
            if step is not None:
                raise UserError(f'step {step} of process {rank} had a loss that is no finite number')
        return [state for _, state in found]

    def resume(self, path: str, resume_optimizer: bool = True, map_location: str = 'cpu') -> None:
        """Go on after the last step of a checkpoint of this runner. All of the file is looked at before
        anything is touched.

        Raises:
            CheckpointError: the file is missing, damaged, of another architecture, or has no step number.
        """
        checkpoint = load_file(path, map_location)
        meta = checked_meta(checkpoint, path)
        if resume_optimizer:
            if 'optimizer' not in checkpoint:
                raise CheckpointError(f"'{path}' holds weights, but not the state of a training: start from "
                                      f"it "
                                      'with --load-from')
            check_optimizers(checkpoint['optimizer'], self.optimizer, path)
        step_state = checked_step_state(checkpoint.get('optimizer_step'), path)
        own_state = self._own_state(checkpoint, path)
        load_weights(self.model, state_dict_of(checkpoint), path)
        if resume_optimizer:
            self._load_optimizers(checkpoint['optimizer'])
        self.optimizer_step.load_state_dict(step_state)
        if hasattr(self.model, 'load_training_state'):
            # the reference implementation's checkpoints do not have it
            self.model.load_training_state(own_state or {'local_iter': meta['iter']})
        self._iter = self._inner_iter = int(meta['iter'])
        self.meta.setdefault('hook_msgs', {}).update(meta.get('hook_msgs') or {})
        kept = ('replaced_samples', 'skipped_steps', EVALUATION_DUE)
        self.meta.update({key: meta.get(key, 0) for key in kept})
        self.logger.info(f"resumed from '{path}' after step {self.iter}")

    def _load_optimizers(self, state: dict) -> None:
        if isinstance(self.optimizer, dict):
            for name, optimizer in self.optimizer.items():
                optimizer.load_state_dict(state[name])
        else:
            self.optimizer.load_state_dict(state)

    def _own_state(self, checkpoint: dict, path: str) -> dict | None:
        """What this process, of several, kept beside the weights."""
        first = checked_training_state(checkpoint.get('training'), path)
        states = checkpoint.get('training_of_ranks') or [first]
        if not isinstance(states, list):
            raise CheckpointError(f"checkpoint '{path}' is damaged: training_of_ranks is no list")
        states = [checked_training_state(state, path, f'training_of_ranks[{rank}]')
                  for rank, state in enumerate(states)]
        if len(states) != self.world_size:
            self.logger.warning(f'the checkpoint is of {len(states)} processes and these are '
                                f'{self.world_size}: the training goes on, but not as the same one')
            return first
        return states[self.rank]
