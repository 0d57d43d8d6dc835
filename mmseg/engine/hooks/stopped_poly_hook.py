"""The poly schedule of trainings that stop before its end."""
from __future__ import annotations

from mmcv.runner.hooks import HOOKS
from mmcv.runner.hooks.lr_updater import PolyLrUpdaterHook

from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range


@HOOKS.register_module()
class StoppedPolyLrUpdaterHook(PolyLrUpdaterHook):
    """lr = (base − min_lr)·(1 − step / horizon)^power + min_lr; a config's ``policy='StoppedPoly'``.

    ADVENT and BDL fall over 250 000 steps and stop at 120 000, FDA over 150 000 and at 100 000.

    Args:
        horizon: the step at which the learning rate would be ``min_lr``; at least ``runner.max_iters``.
    """

    def __init__(self, horizon: int, power: float = 1.0, min_lr: float = 0.0, **kwargs):
        check_range(horizon, 'lr_config.horizon', 1)
        self.horizon = horizon
        super().__init__(power, min_lr, **kwargs)

    def check_length(self, max_iters: int) -> None:
        """Raises:
            ConfigError: a run of that many steps is longer than the schedule.
        """
        if max_iters > self.horizon:
            raise ConfigError(f'lr_config.horizon is {self.horizon}, but the run has {max_iters} steps '
                              "(runner.max_iters): set a longer horizon, or policy='poly'")

    def get_lr(self, runner, base_lr: float) -> float:
        return (base_lr - self.min_lr) * (1 - runner.iter / self.horizon) ** self.power + self.min_lr
