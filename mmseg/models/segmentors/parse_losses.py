from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


def add_prefix(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {f'{prefix}.{name}': value for name, value in values.items()}


def is_loss(name: str) -> bool:
    """Whether a log value is part of the sum to minimise: its last part begins with ``loss``."""
    return name.rsplit('.', 1)[-1].startswith('loss')


def parse_losses(values: Mapping[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the losses, and all values detached for the log (not fetched from the device).

    ``features`` and ``logits`` are handed between passes and left out.
    """
    log_vars = {name: torch.as_tensor(value).detach().mean() for name, value in values.items()
                if name not in ('features', 'logits')}
    losses = [value.mean() for name, value in values.items() if is_loss(name)]
    if not losses:
        raise ValueError(f'no loss among {sorted(values)}')
    return torch.stack(losses).sum() if len(losses) > 1 else losses[0], log_vars
