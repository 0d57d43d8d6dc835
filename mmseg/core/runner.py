"""The training loop: mmcv's runner and hooks around keyed steps."""
from __future__ import annotations

import os
import time
from typing import Any

import torch
from mmcv.runner import BaseRunner
from torch.utils.data import DataLoader

from mmseg.datasets.loader import unwrap_batch
from mmseg.utils import UserError, derive_seed, set_random_seed
from mmseg.utils.checkpoint import load_file, load_weights, save_checkpoint, state_dict_of

from .log_buffer import TensorLogBuffer
from .optimizer_step import OptimizerStep

# Keeps the random numbers of a step apart from those of its samples, keyed (seed, rank, step, n).
STEP_STREAM = 2 ** 31


class IterBasedRunner(BaseRunner):
    """Trains for ``max_iters`` steps.

    Step k starts from random states that depend on (seed, rank, k) alone, as its samples do, so a
    resumed run is the run that was interrupted.

    Args:
        model: has ``train_step(data_batch, optimizer)`` and lies on ``device``. If the step returns
            'loss', its backward pass and the update are done here; otherwise the model did them.
        seed: of the run.
        grad_clip: see ``OptimizerStep``.
        others: as of mmcv's ``BaseRunner``.
    """

    def __init__(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, work_dir: str, logger,
                 max_iters: int, device: torch.device, seed: int = 0, grad_clip: dict | None = None,
                 meta: dict | None = None):
        super().__init__(model, optimizer=optimizer, work_dir=work_dir, logger=logger, meta=meta or {},
                         max_iters=max_iters)
        self.device, self.seed = device, seed
        self.log_buffer = TensorLogBuffer()
        self.optimizer_step = OptimizerStep(optimizer, grad_clip)

    def run(self, data_loader: DataLoader, workflow: Any = None) -> None:
        """Train from the current step to the last one.

        Args:
            data_loader: yields the batches of the steps from ``self.iter`` on.
            workflow: only ``[('train', 1)]`` exists; evaluation is a hook.
        """
        if workflow and [tuple(flow) for flow in workflow] != [('train', 1)]:
            raise UserError(f"workflow {workflow}: only [('train', 1)] exists; use the key evaluation")
        self.logger.info(f'training in {self.work_dir}: steps {self.iter} to {self.max_iters}')
        self.data_loader = data_loader
        self.call_hook('before_run')
        self.call_hook('before_epoch')
        batches = iter(data_loader)
        while self.iter < self.max_iters:
            self.train(next(batches))
        self.call_hook('after_epoch')
        self.call_hook('after_run')

    def train(self, data_batch: Any) -> None:
        """One step."""
        self.mode = 'train'
        self.model.train()
        self.call_hook('before_train_iter')
        set_random_seed(derive_seed(self.seed, self.rank, self.iter, STEP_STREAM))
        outputs = self.model.train_step(unwrap_batch(data_batch, self.device), self.optimizer_step)
        if 'loss' in outputs:
            self.optimizer_step.begin()
            self.optimizer_step.backward(outputs['loss'])
            outputs['log_vars'].update(self.optimizer_step.finish())
        self.log_buffer.update(outputs['log_vars'], outputs['num_samples'])
        self.outputs = outputs
        self.call_hook('after_train_iter')
        self._inner_iter += 1
        self._iter += 1

    def val(self, *args, **kwargs) -> None:
        raise NotImplementedError('evaluation is a hook')

    def save_checkpoint(self, out_dir: str | None = None, filename_tmpl: str = 'iter_{}.pth',
                        meta: dict | None = None, save_optimizer: bool = True,
                        create_symlink: bool = True) -> str:
        """Write ``iter_<N>.pth`` for the N steps done, and let ``latest.pth`` point to it.

        Returns:
            the file's path.
        """
        done = self.iter + 1 if self.mode == 'train' else self.iter
        path = os.path.join(out_dir or self.work_dir, filename_tmpl.format(done))
        state = {'training': self.model.training_state()} if hasattr(self.model, 'training_state') else {}
        save_checkpoint(path, self.model, self.optimizer if save_optimizer else None,
                        {**self.meta, **(meta or {}), 'iter': done, 'time': time.asctime()}, **state)
        if create_symlink:
            _point_to(os.path.join(os.path.dirname(path), 'latest.pth'), os.path.basename(path))
        return path

    def resume(self, path: str, resume_optimizer: bool = True, map_location: str = 'cpu') -> None:
        """Go on after the last step of a checkpoint of this runner.

        Raises:
            UserError: the file is missing, damaged, of another architecture, or has no step number.
        """
        checkpoint = load_file(path, map_location)
        meta = checkpoint.get('meta', {})
        if 'iter' not in meta or (resume_optimizer and 'optimizer' not in checkpoint):
            raise UserError(f"'{path}' holds weights, but not the state of a training: start from it with "
                            '--load-from')
        load_weights(self.model, state_dict_of(checkpoint), path)
        if resume_optimizer:
            try:
                self.optimizer.load_state_dict(checkpoint['optimizer'])
            except ValueError as error:
                raise UserError(f"the optimizer in '{path}' is not that of this config: {error}") from error
        if hasattr(self.model, 'load_training_state'):
            # checkpoints of the lineage do not have it
            self.model.load_training_state(checkpoint.get('training') or {'local_iter': meta['iter']})
        self._iter = self._inner_iter = int(meta['iter'])
        self.meta.setdefault('hook_msgs', {}).update(meta.get('hook_msgs') or {})
        self.logger.info(f"resumed from '{path}' after step {self.iter}")


def _point_to(link: str, target: str) -> None:
    """Let ``link`` name the file ``target`` beside it, atomically; a copy where links are not possible."""
    temporary = f'{link}.tmp{os.getpid()}'
    try:
        os.symlink(target, temporary)
    except OSError:
        os.link(os.path.join(os.path.dirname(link), target), temporary)
    os.replace(temporary, link)
