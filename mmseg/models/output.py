"""What a segmentation network returns in training: values, from which losses are computed elsewhere."""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Area:
    """Rows ``top`` … ``bottom`` − 1 and columns ``left`` … ``right`` − 1 of a map."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, x: Tensor) -> Tensor:
        """The area of a map (… H W), a view of it; what lies outside of the map is left out."""
        return x[..., self.top:self.bottom, self.left:self.right]

    def on_grid(self, cells: float) -> Area:
        """Where it lies on a grid with so many cells a pixel, rounded down."""
        # of 720 · (0.7 / 4), which is 126, floating point makes a little less
        return Area(*(math.floor(round(side * cells, 6))
                      for side in (self.top, self.bottom, self.left, self.right)))

    def put(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """Zeros of ``size`` (H W) with ``x`` (B C h w) in the area."""
        return F.pad(x, (self.left, size[1] - self.right, self.top, size[0] - self.bottom))


@dataclass
class View:
    """What the encoder was shown of an image, and what it made of it.

    Args:
        img: (B 3 h w), normalised.
        features: its feature maps (B C_i h_i w_i), fine ones first.
        area: which part of the image it shows; None: all of it.
    """

    img: Tensor
    features: Sequence[Tensor]
    area: Area | None = None


@dataclass
class HeadOutput:
    """One output that training supervises.

    Args:
        logits: (B C H W) at the size of the image, or of ``area``, float32 or more.
        head: whose losses, pixel sampler and ignore index apply to them.
        coarse: the logits at the head's own resolution (B C h w), before they were up-sampled.
        weight: factor of its losses.
        area: the part of the label that the logits are of, in pixels; None: all of it.
        padded: H and W of what ``coarse`` is of, where that is more than ``logits`` are.
    """

    logits: Tensor
    head: nn.Module
    coarse: Tensor | None = None
    weight: float = 1.0
    area: Area | None = None
    padded: Sequence[int] | None = None
    _log_prob: Tensor | None = field(default=None, init=False, repr=False)

    @property
    def log_prob(self) -> Tensor:
        """ln σ(logits) over the classes, (B C H W), in nats; computed once for all losses that take it."""
        # no cached_property, whose lock of Python 3.11 and before breaks a compiled graph
        if self._log_prob is None:
            self._log_prob = F.log_softmax(self.logits, dim=1)
        return self._log_prob

    def scaled(self, scale: float) -> HeadOutput:
        """The same with logits (B C ⌊H·scale⌋ ⌊W·scale⌋), which are ``coarse`` resized once; itself at 1."""
        if scale == 1:
            return self
        shown, padded = ([math.floor(side * scale) for side in sides]
                         for sides in (self.logits.shape[2:], self.padded or self.logits.shape[2:]))
        resized = self.head.upsample(self.coarse, padded)
        return replace(self, logits=resized[..., :shown[0], :shown[1]])


@dataclass
class SegOutput:
    """
    Args:
        views: what of the image the feature distance looks at, with its features.
        supervised: all outputs of the heads by the prefix of their names in the log ('decode', 'aux', …), the
            prediction first.
    """

    views: Sequence[View]
    supervised: dict[str, HeadOutput]

    @property
    def features(self) -> Sequence[Tensor]:
        """Feature maps of the first view (B C_i h_i w_i), fine ones first."""
        return self.views[0].features

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
