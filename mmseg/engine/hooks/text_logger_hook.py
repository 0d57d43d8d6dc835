from __future__ import annotations

from typing import Any

from mmcv.runner import HOOKS, TextLoggerHook

# What a score's name begins with, up to its first dot.
SCORES = frozenset({'aAcc', 'mIoU', 'mIoU13', 'mIoU16', 'mAcc', 'mDice', 'mFscore', 'mPrecision', 'mRecall',
                    'IoU', 'Acc', 'Dice', 'Fscore', 'Precision', 'Recall'})


def is_score(name: str) -> bool:
    """Whether a logged value is a fraction that people read in percent: 'mIoU', 'IoU.road', 'mIoU.fog', …"""
    return name.partition('.')[0] in SCORES


@HOOKS.register_module(name='TextLoggerHook', force=True)
class PercentTextLoggerHook(TextLoggerHook):
    """mmcv's log of lines and json, with scores in percent where a person reads them; in the json file, which
    programs read, they stay fractions. The method is told beforehand which steps are written
    (``Method.logged_now``)."""

    def before_train_iter(self, runner) -> None:
        super().before_train_iter(runner)
        runner.model.logged_now = self.every_n_iters(runner, self.interval)

    def _log_info(self, log_dict: dict[str, Any], runner) -> None:
        super()._log_info({name: f'{100 * value:.2f} %' if is_score(name) and isinstance(value, float)
                           else value for name, value in log_dict.items()}, runner)
