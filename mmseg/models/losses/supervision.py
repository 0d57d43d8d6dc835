"""The losses of a network's outputs: those of its heads against a label, and regularisers."""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Terms
from mmseg.utils import ConfigError

from ..output import HeadOutput, SegOutput
from .accuracy import accuracy
from .log_prob import log_prob_for


def supervise(output: SegOutput, label: Tensor, weight: Tensor | None = None) -> Terms:
    """The losses of all outputs that training supervises, and the pixel accuracies in percent.

    Args:
        output: of a batch of B images.
        label: class ids (B 1 H W), int64.
        weight: factor of each pixel (B H W); a head with a pixel sampler takes the sampler's.

    Raises:
        ConfigError: a loss returns no tensor.
    """
    terms = Terms()
    for name, supervised in output.supervised.items():
        terms = terms + supervise_head(supervised, label, weight).prefixed(name)
    return terms


def supervise_head(output: HeadOutput, label: Tensor, weight: Tensor | None = None) -> Terms:
    """``supervise`` of one output, by the label of its area. Losses of the same name are added up."""
    head, terms = output.head, Terms()
    if output.area is not None:
        label, weight = output.area.of(label), None if weight is None else output.area.of(weight)
    if head.sampler is not None:
        weight = head.sampler.sample(output.logits, label)
    label = label.squeeze(1)
    for loss in head.losses_decode:
        value = loss(output.logits, label, weight=weight, ignore_index=head.ignore_index,
                     **log_prob_for(loss, output))
        if not isinstance(value, Tensor):
            raise ConfigError(f"loss '{type(loss).__name__}' returns a {type(value).__name__}, "
                              'expected a tensor')
        name = loss.loss_name
        if loss.loss_weight != 1:
            terms.metrics[f'raw_{name}'] = value.detach().mean()
        terms.losses[name] = terms.losses.get(name, 0) + (output.weight * loss.loss_weight * value).mean()
    terms.metrics['acc_seg'] = accuracy(output.logits.detach(), label)
    return terms


def regularise(losses: Iterable[nn.Module], output: SegOutput | HeadOutput, **seen: Any) -> Terms:
    """The regularisers of a pass: losses that need no label of every pixel.

    Each has ``loss_weight``, applied here, and ``loss_name``; it returns the unweighted value, a 0-dim
    tensor. It is called with the logits (and ``log_prob``, if it takes it). One that looks at more has a
    method ``of(output, seen)``.

    Args:
        losses: may be empty.
        seen: what the pass knows beside the network's output, by name.
    """
    terms = Terms()
    for loss in losses:
        if hasattr(loss, 'of'):
            value = loss.of(output, seen)
        else:
            value = loss(output.logits, **log_prob_for(loss, output))
        terms = terms + weighted(loss, value)
    return terms


def weighted(loss: nn.Module, value: Tensor) -> Terms:
    """A loss's value times its ``loss_weight``. For the log the value itself, unless its attribute
    ``logs_raw`` is False, and what its ``metrics`` says."""
    raw = {f'raw_{loss.loss_name}': value.detach()} if getattr(loss, 'logs_raw', True) else {}
    more = loss.metrics() if hasattr(loss, 'metrics') else {}
    return Terms({loss.loss_name: loss.loss_weight * value}, {**raw, **more})
