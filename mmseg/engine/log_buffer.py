from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

import numpy as np
import torch
from mmcv.runner.log_buffer import LogBuffer
from torch import Tensor

from mmseg.utils.distributed import get_world_size, mean_over_processes


class TensorLogBuffer(LogBuffer):
    """mmcv's buffer for log values that are still on the device.

    A training step leaves tensors; they are fetched together when they are averaged for the log, so
    that no step synchronizes with the GPU. With several processes a logged value is the mean of theirs, which
    they exchange at that time too; all of them have to average together.
    """

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, list[int]] = defaultdict(list)  # of the values of each name

    def clear(self) -> None:
        super().clear()
        self.steps.clear()

    def update(self, vars: dict, count: int = 1) -> None:
        """Take values of the step that is being made: the one that the name with most values is at."""
        super().update(vars, count)
        step = max(map(len, self.val_history.values()), default=0)
        for name in vars:
            self.steps[name].append(step)

    def average(self, n: int = 0) -> None:
        """Average each name's values of the latest ``n`` steps, or all. (mmcv takes the latest n values, and
        so those of many earlier lines where few steps have one.)"""
        waiting = [(values, i) for values in self.val_history.values()
                   for i, value in enumerate(values) if isinstance(value, Tensor)]
        if waiting:
            fetched = torch.stack([values[i].detach().float() for values, i in waiting]).tolist()
            for (values, i), number in zip(waiting, fetched):
                values[i] = number
        step = max(map(len, self.val_history.values()), default=0)
        found = {}
        for name, values in self.val_history.items():
            first = bisect_right(self.steps[name], step - n) if n else 0
            if first < len(values):
                counts = np.array(self.n_history[name][first:])
                found[name] = np.sum(np.array(values[first:]) * counts) / np.sum(counts)
        self.output.update(found if get_world_size() == 1 else mean_over_processes(found))
        self.ready = True
