"""The logarithm of the softmax, computed once for all losses of the same logits."""
from __future__ import annotations

from torch import Tensor, nn

from ..output import HeadOutput, SegOutput


def takes_log_prob(loss: nn.Module) -> bool:
    """Whether a loss can be handed ln σ(logits) as the keyword ``log_prob``: its attribute
    ``takes_log_prob`` says so."""
    return getattr(loss, 'takes_log_prob', False)


def log_prob_for(loss: nn.Module, output: HeadOutput | SegOutput) -> dict[str, Tensor]:
    """The keyword arguments that hand the output's ``log_prob`` to ``loss``: none, if it does not take it."""
    return {'log_prob': output.log_prob} if takes_log_prob(loss) else {}
