"""The schedule of CycleGAN: one learning rate for a while, which then falls to nothing."""
from __future__ import annotations

from mmcv.runner.hooks import HOOKS
from mmcv.runner.hooks.lr_updater import PolyLrUpdaterHook

from mmseg.utils.ranges import check_range


@HOOKS.register_module()
class FlatPolyLrUpdaterHook(PolyLrUpdaterHook):
    """lr = base until ``flat`` of the run is made, then (base − min_lr)·(1 − share of the rest)^power +
    min_lr; a config's ``policy='FlatPoly'``.

    CycleGAN's learning rate falls in a line from the middle of the training on (there, epoch by epoch).

    Args:
        flat: the share of the run before the rate falls, 0 ≤ flat < 1.
    """

    def __init__(self, flat: float = 0.5, power: float = 1.0, min_lr: float = 0.0, **kwargs):
        check_range(flat, 'lr_config.flat', 0, 0.999)
        self.flat = flat
        super().__init__(power, min_lr, **kwargs)

    def get_lr(self, runner, base_lr: float) -> float:
        done = runner.iter / runner.max_iters
        left = min((1 - done) / (1 - self.flat), 1.0)
        return (base_lr - self.min_lr) * left ** self.power + self.min_lr
