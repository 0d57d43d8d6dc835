"""The logarithm of the softmax, computed once for all losses of the same logits."""
from __future__ import annotations

from collections.abc import Iterable

import torch.nn.functional as F
from torch import Tensor, nn


def takes_log_prob(loss: nn.Module) -> bool:
    """Whether a loss can be handed ln σ(logits) as the keyword ``log_prob``: its attribute
    ``takes_log_prob`` says so."""
    return getattr(loss, 'takes_log_prob', False)


def shared_log_prob(logits: Tensor, losses: Iterable[nn.Module]) -> Tensor | None:
    """ln σ(logits) over the classes, (B C H W), in nats; None if none of the losses takes it."""
    return F.log_softmax(logits, dim=1) if any(map(takes_log_prob, losses)) else None


def log_prob_for(loss: nn.Module, log_prob: Tensor | None) -> dict[str, Tensor]:
    """The keyword arguments that hand ``log_prob`` to ``loss``: none, if it does not take it."""
    return {} if log_prob is None or not takes_log_prob(loss) else {'log_prob': log_prob}
