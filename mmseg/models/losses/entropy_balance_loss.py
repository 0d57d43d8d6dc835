"""The entropy balance loss: the contribution of EBDA (method.md, step 9)."""
from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils import ConfigError, UserError
from mmseg.utils.distributed import get_world_size
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys

from ..builder import LOSSES


def pixel_entropy(logits: Tensor, log_prob: Tensor | None = None) -> Tensor:
    """H = −Σ_c p_c ln p_c with p = σ(logits): (B C H W) → (B H W), in nats, 0 ≤ H ≤ ln C. ``log_prob``:
    ln p, if it is known already."""
    log_p = F.log_softmax(logits, dim=1) if log_prob is None else log_prob
    return -(log_p.exp() * log_p).sum(dim=1)


class RunningQuantile(nn.Module):
    """h_t = m·h_{t−1} + (1 − m)·Q_q(H), the quantile q of the batch's entropies; h_0 is the first one.

    With several processes Q_q is the mean of their batches' quantiles, so that all have one h.

    Args:
        quantile: q, 0–1.
        momentum: m, 0–1.
    """

    def __init__(self, quantile: float = 0.6, momentum: float = 0.9999):
        super().__init__()
        if not (0 <= quantile <= 1 and 0 <= momentum <= 1):
            raise UserError(f'RunningQuantile: quantile {quantile} and momentum {momentum} must be 0–1')
        self.quantile, self.momentum = quantile, momentum
        # Saved with the training state, not among the weights: those keep the reference
        # implementation's names.
        self.register_buffer('value', torch.tensor(math.nan), persistent=False)

    @torch.no_grad()
    def forward(self, entropy: Tensor) -> Tensor:
        """Update with the entropies (any shape, nats) and return h as a 0-dim tensor."""
        current = _quantile(entropy.detach().flatten().float(), self.quantile)
        _follow(self.value, current, self.momentum)
        return self.value.clone()


class SourceMedian(nn.Module):
    """h_t = m·h_{t−1} + (1 − m)·median of H over the source pixels that are predicted right: as certain as
    the network is where it is right to be, by labels that it has. An extension, not of the paper.

    With several processes the median is the mean of theirs. Until a source pixel was right, the loss is 0.

    Args:
        momentum: m, 0–1.
    """

    def __init__(self, momentum: float = 0.99):
        super().__init__()
        check_range(momentum, 'SourceMedian: momentum', 0, 1)
        self.momentum = momentum
        self.register_buffer('value', torch.tensor(math.nan), persistent=False)

    @torch.no_grad()
    def observe(self, logits: Tensor, label: Tensor) -> None:
        """Update with source logits (B C H W) and their class ids (B 1 H W)."""
        right = logits.argmax(dim=1) == label.squeeze(1)
        entropy = pixel_entropy(logits).masked_fill(~right, math.inf).flatten().sort().values
        middle = ((right.sum() - 1) // 2).clamp(min=0)  # stays on the device
        current = entropy.gather(0, middle.view(1))[0].float()
        _follow(self.value, torch.where(right.any(), current, self.value), self.momentum)

    def forward(self, entropy: Tensor) -> Tensor:
        """h as a 0-dim tensor; the entropies themselves before there is one."""
        return torch.where(self.value.isnan(), entropy.detach(), self.value)


def _follow(value: Tensor, current: Tensor, momentum: float) -> None:
    """A moving average that begins with its first value; of the mean over the processes."""
    processes = get_world_size()
    if processes > 1:
        torch.distributed.all_reduce(current)
        current /= processes
    updated = momentum * value + (1 - momentum) * current
    value.copy_(torch.where(value.isnan(), current, updated))


def observe_source(losses: Iterable[nn.Module], logits: Tensor, label: Tensor) -> None:
    """Show the source's logits (B C H W) and labels (B 1 H W) to the targets that look at them."""
    for loss in losses:
        if isinstance(getattr(loss, 'target', None), SourceMedian):
            loss.target.observe(logits.detach(), label)


def _quantile(values: Tensor, q: float) -> Tensor:
    """torch.quantile's linear interpolation without its limit of 2²⁴ values."""
    position = q * (values.numel() - 1)
    low = math.floor(position)
    ordered = values.sort().values  # on a GPU as long as one kthvalue
    return torch.lerp(ordered[low], ordered[min(low + 1, len(ordered) - 1)], position - low)


@LOSSES.register_module()
class EntropyBalanceLoss(nn.Module):
    """L = mean over all pixels of (H − h)²; neither mask nor pixel weight.

    Pixels more certain than h (peaks of confidence) are pulled up, less certain ones down.

    Args:
        target: h in nats, 0 … ln C; or ``dict(type='RunningQuantile', quantile=…, momentum=…)`` or
            ``dict(type='SourceMedian', momentum=…)`` for a target that follows the training.
        loss_weight: λ_EB, which the caller applies; ``forward`` does not.
        loss_name: name in the log.
    """

    takes_log_prob = True

    def __init__(self, target: float | dict = 0.4, loss_weight: float = 0.1, loss_name: str = 'entropy'):
        super().__init__()
        check_range(loss_weight, 'EntropyBalanceLoss: loss_weight', 0)
        self.loss_weight, self.loss_name = loss_weight, loss_name
        self.target = _target_of(target)

    def forward(self, logits: Tensor, log_prob: Tensor | None = None) -> Tensor:
        """Unweighted loss in nats² of logits (B C H W); the gradient flows through H, not through h.
        ``log_prob``: see ``pixel_entropy``."""
        entropy = pixel_entropy(logits, log_prob)
        target = self.target(entropy) if isinstance(self.target, nn.Module) else self.target
        return (entropy - target).square().mean()

    def metrics(self) -> dict[str, Tensor]:
        """h of a target that follows the training, for the log: nats, 0-dim; NaN as long as there is none."""
        if not isinstance(self.target, nn.Module):
            return {}
        return {f'h_{self.loss_name}': self.target.value.clone()}


def _target_of(target: float | dict) -> float | nn.Module:
    if not isinstance(target, dict):
        check_range(target, 'EntropyBalanceLoss: target, of entropies in nats,', 0)
        return float(target)
    makers = {'RunningQuantile': (RunningQuantile, ('quantile', 'momentum')),
              'SourceMedian': (SourceMedian, ('momentum',))}
    options = {k: v for k, v in target.items() if k != 'type'}
    if target.get('type') not in makers:
        raise ConfigError(f'EntropyBalanceLoss: target {dict(target)}, expected nats or '
                          "dict(type='RunningQuantile', quantile=…, momentum=…) or dict(type='SourceMedian', "
                          'momentum=…)')
    make, known = makers[target['type']]
    check_keys(options, known, 'the target of EntropyBalanceLoss')
    return make(**options)
