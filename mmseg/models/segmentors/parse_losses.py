from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

HANDED_ON = ('features', 'logits', 'log_prob')


def add_prefix(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f'{prefix}.{name}': value for name, value in values.items()}


def is_loss(name: str) -> bool:
    """Whether a log value is part of the sum to minimise: its last part begins with ``loss``."""
    return name.rsplit('.', 1)[-1].startswith('loss')


def parse_losses(values: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the losses, and all values detached for the log (not fetched from the device).

    What is handed on between passes (HANDED_ON) is left out.
    """
    log_vars = {name: torch.as_tensor(value).detach().mean() for name, value in values.items()
                if name not in HANDED_ON}
    losses = [value.mean() for name, value in values.items() if is_loss(name)]
    if not losses:
        raise ValueError(f'no loss among {sorted(values)}')
    return torch.stack(losses).sum() if len(losses) > 1 else losses[0], log_vars
