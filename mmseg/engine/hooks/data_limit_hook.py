from __future__ import annotations

from mmcv.runner import Hook


class DataLimitHook(Hook):
    """Tells once if a training waits for its samples more than it computes with them.

    Args:
        interval: steps that are looked at together, after as many that are not: loading and compiling begin
            slowly.
        share: of a step's time, 0–1.
    """

    def __init__(self, interval: int, share: float = 0.3):
        self.interval, self.share = interval, share
        self.steps, self.waited, self.taken = 0, 0.0, 0.0

    def after_train_iter(self, runner) -> None:
        history = runner.log_buffer.val_history
        if self.steps < 0 or not {'data_time', 'time'} <= history.keys():
            return
        self.steps += 1
        if self.steps > self.interval:
            self.waited += history['data_time'][-1]
            self.taken += history['time'][-1]
        if self.steps == 2 * self.interval:
            self._tell(runner)
            self.steps = -1

    def _tell(self, runner) -> None:
        if runner.rank == 0 and self.waited > self.share * self.taken:
            runner.logger.warning(
                f'data is the limit: {100 * self.waited / self.taken:.0f} % of the time of a step is spent '
                'waiting for samples; use more data.workers_per_gpu, or a cache of decoded images '
                '(tools/cache_dataset.py, docs/running.md)')
