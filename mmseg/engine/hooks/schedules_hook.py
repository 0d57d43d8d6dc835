"""Learning rates of a method with several optimisers, some of which have schedules of their own."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmcv.runner import Hook


class SchedulesHook(Hook):
    """A config's ``lr_config.by_optimizer``.

    AdvSeg's network has a warm-up, its discriminators have none, and another power.

    Args:
        rest: schedule of all optimisers; of those that ``own`` names, it is set aside.
        own: schedules by the names of their optimisers.
    """

    def __init__(self, rest: Hook, own: Mapping[str, Hook]):
        self.rest, self.own = rest, own

    def before_run(self, runner: Any) -> None:
        self.rest.before_run(runner)
        for name, schedule in self.own.items():
            schedule.before_run(_Part(runner, name))

    def before_train_iter(self, runner: Any) -> None:
        self.rest.before_train_iter(runner)
        for name, schedule in self.own.items():
            schedule.before_train_iter(_Part(runner, name))


class _Part:
    """What a schedule sees of a runner: one of its optimisers, and the steps."""

    def __init__(self, runner: Any, name: str):
        self.optimizer = {name: runner.optimizer[name]}
        self.iter, self.max_iters = runner.iter, runner.max_iters
