"""What a segmentation network returns in training: values, from which losses are computed elsewhere."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class HeadOutput:
    """One output that training supervises.

    Args:
        logits: (B C H W) at the image's size, float32 or more.
        head: whose losses, pixel sampler and ignore index apply to them.
        coarse: the logits at the head's own resolution (B C h w), before they were up-sampled.
    """

    logits: Tensor
    head: nn.Module
    coarse: Tensor | None = None

    @cached_property
    def log_prob(self) -> Tensor:
        """ln σ(logits) over the classes, (B C H W), in nats; computed once for all losses that take it."""
        return F.log_softmax(self.logits, dim=1)


@dataclass
class SegOutput:
    """
    Args:
        features: feature maps of the encoder (B C_i h_i w_i), fine ones first.
        supervised: all outputs of the heads by the prefix of their names in the log ('decode', 'aux', …), the
            prediction first.
    """

    features: Sequence[Tensor]
    supervised: dict[str, HeadOutput]

    @property
    def prediction(self) -> HeadOutput:
        return next(iter(self.supervised.values()))

    @property
    def logits(self) -> Tensor:
        """Of the prediction, (B C H W) at the image's size, float32 or more."""
        return self.prediction.logits

    @property
    def log_prob(self) -> Tensor:
        """ln σ(logits), see ``HeadOutput``."""
        return self.prediction.log_prob
