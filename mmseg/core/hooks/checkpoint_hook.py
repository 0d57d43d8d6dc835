from __future__ import annotations

import os
import re

from mmcv.runner import Hook

from mmseg.utils import UserError


class CheckpointHook(Hook):
    """Write a checkpoint every ``interval`` steps and after the last one.

    Args:
        interval: in steps.
        by_epoch: only False; accepted because the lineage's configs say so.
        max_keep_ckpts: keep this many ``iter_<N>.pth`` of the run; -1 keeps all.
        save_optimizer: without it a run cannot be resumed.
        meta: added to the checkpoint's meta data.
    """

    def __init__(self, interval: int, by_epoch: bool = False, max_keep_ckpts: int = -1,
                 save_optimizer: bool = True, meta: dict | None = None):
        if by_epoch:
            raise UserError('checkpoint_config.by_epoch=True is not supported: give the interval in steps')
        if interval < 1:
            raise UserError(f'checkpoint_config.interval is {interval}, expected at least 1 step')
        self.interval, self.max_keep_ckpts = interval, max_keep_ckpts
        self.save_optimizer, self.meta = save_optimizer, meta

    def after_train_iter(self, runner) -> None:
        last = runner.iter + 1 == runner.max_iters
        if runner.rank != 0 or not (last or self.every_n_iters(runner, self.interval)):
            return
        path = runner.save_checkpoint(meta=self.meta, save_optimizer=self.save_optimizer)
        if self.max_keep_ckpts > 0:
            for old in self._older(path)[self.max_keep_ckpts - 1:]:
                os.remove(old)

    @staticmethod
    def _older(path: str) -> list[str]:
        """Checkpoints of earlier steps beside ``path``, the latest first."""
        folder, name = os.path.split(path)
        steps = {int(found[1]): entry for entry in os.listdir(folder)
                 if (found := re.fullmatch(r'iter_(\d+)\.pth', entry)) and entry != name}
        current = int(re.fullmatch(r'iter_(\d+)\.pth', name)[1])
        return [os.path.join(folder, steps[step]) for step in sorted(steps, reverse=True) if step < current]
