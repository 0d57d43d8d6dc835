"""A network's pass over labelled images with all losses of its outputs: a function that can be one graph."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn

from mmseg.core.method import Terms

from ..output import HeadOutput, SegOutput, View
from .entropy_balance_loss import observe_source
from .supervision import regularise, supervise


@dataclass(frozen=True)
class Labelled:
    """
    Args:
        img: images of a batch, normalised (B 3 H W).
        label: class ids (B 1 H W), int64.
        weight: factor of each pixel (B H W); None is 1.
        regularisers: losses that need no label, see ``regularise``.
        observers: losses whose targets look at these images, see ``observe_source``.
    """

    img: Tensor
    label: Tensor
    weight: Tensor | None = None
    regularisers: Iterable[nn.Module] = ()
    observers: Iterable[nn.Module] = ()


def labelled_pass(network: nn.Module, *batches: Labelled) -> list[tuple[Terms, SegOutput]]:
    """The losses of each batch, and what else is looked at: the last feature map of each view, with its
    graph, and the prediction's logits, without.

    Args:
        network: gives a ``SegOutput`` for each of several batches of images.
        batches: of one size; they go through the encoder together.
    """
    found = []
    for batch, output in zip(batches, network(*(batch.img for batch in batches))):
        observe_source(batch.observers, output.logits, batch.label)
        terms = supervise(output, batch.label, batch.weight) + regularise(batch.regularisers, output)
        found.append((terms, _seen(output)))
    return found


def _seen(output: SegOutput) -> SegOutput:
    """Of all else a graph would keep the values, and take gradients."""
    views = [View(view.img, view.features[-1:], view.area) for view in output.views]
    prediction = HeadOutput(output.logits.detach(), output.prediction.head)
    return SegOutput(views, {next(iter(output.supervised)): prediction})
