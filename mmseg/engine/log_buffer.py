from __future__ import annotations

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

    def average(self, n: int = 0) -> None:
        """Average the latest ``n`` values of each name, or all."""
        waiting = [(values, i) for values in self.val_history.values()
                   for i, value in enumerate(values) if isinstance(value, Tensor)]
        if waiting:
            fetched = torch.stack([values[i].detach().float() for values, i in waiting]).tolist()
            for (values, i), number in zip(waiting, fetched):
                values[i] = number
        super().average(n)
        if get_world_size() > 1:
            self.output.update(mean_over_processes({name: self.output[name] for name in self.val_history}))
