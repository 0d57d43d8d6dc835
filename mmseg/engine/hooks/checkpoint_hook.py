from __future__ import annotations

from mmcv.runner import Hook

from mmseg.checkpoint.files import remove_older
from mmseg.utils import UserError


class CheckpointHook(Hook):
    """Write a checkpoint every ``interval`` steps and after the last one.

    Register it after the other hooks: what a checkpoint says is done, evaluation, best score and log
    included, has been done then.

    Args:
        interval: in steps.
        by_epoch: only False; accepted because the reference implementation's configs say so.
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
        if runner.iter + 1 == runner.max_iters or self.every_n_iters(runner, self.interval):
            self.save(runner)

    def save(self, runner) -> None:
        """Write a checkpoint now; the earlier ones are removed when it has been read again."""
        path = runner.save_checkpoint(meta=self.meta, save_optimizer=self.save_optimizer)
        if runner.rank == 0 and self.max_keep_ckpts > 0:
            remove_older(path, self.max_keep_ckpts)
