from __future__ import annotations

from mmcv.runner import Hook

from mmseg.utils.distributed import refuse_different_parameters


class ParameterSyncHook(Hook):
    """Of a run in several processes: at the start and before every checkpoint, see that student, teacher and
    all other parameters are the same in all of them. Each process computes its own teacher, and nothing else
    would notice that one went astray.

    Args:
        interval: in steps; that of the checkpoints.
    """

    def __init__(self, interval: int):
        self.interval = interval

    def before_run(self, runner) -> None:
        refuse_different_parameters(runner.model, f'before step {runner.iter + 1}')

    def after_train_iter(self, runner) -> None:
        if runner.iter + 1 == runner.max_iters or self.every_n_iters(runner, self.interval):
            refuse_different_parameters(runner.model, f'after step {runner.iter + 1}')
