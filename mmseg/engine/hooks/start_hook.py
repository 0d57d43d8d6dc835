from __future__ import annotations

from collections.abc import Callable

from mmcv.runner import Hook

from mmseg.core.method import Method, TargetImages

from ..evaluation import evaluating


class StartHook(Hook):
    """Calls ``Method.start`` before the first step of a training; not when it is resumed.

    Args:
        target: makes what it is given.
    """

    def __init__(self, target: Callable[[], TargetImages]):
        self.target = target

    def before_run(self, runner) -> None:
        if runner.iter == 0 and isinstance(runner.model, Method):
            with evaluating(runner.model):
                runner.model.start(self.target)
