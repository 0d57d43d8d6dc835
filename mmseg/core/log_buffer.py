from __future__ import annotations

import torch
from mmcv.runner.log_buffer import LogBuffer
from torch import Tensor


class TensorLogBuffer(LogBuffer):
    """mmcv's buffer for log values that are still on the device.

    A training step leaves tensors; they are fetched together when they are averaged for the log, so
    that no step waits for the device.
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
