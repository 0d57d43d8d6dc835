from __future__ import annotations

import sys

from mmcv.runner import Hook
from tqdm import tqdm


class ProgressHook(Hook):
    """A bar with the time left, on a terminal; in a file the lines of the log tell it."""

    def before_run(self, runner) -> None:
        self.bar = tqdm(total=runner.max_iters, initial=runner.iter, unit='step', dynamic_ncols=True,
                        disable=runner.rank != 0 or not sys.stderr.isatty())

    def after_train_iter(self, runner) -> None:
        self.bar.update()

    def after_run(self, runner) -> None:
        self.bar.close()
