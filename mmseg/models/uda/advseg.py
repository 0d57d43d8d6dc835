"""AdvSeg: predictions as what the domains differ in (Tsai et al., CVPR 2018), as HRDA and MIC compare with it
(lhoyer/HRDA c370b5b; lhoyer/MIC 2f932a9).

The step is ADVENT's, whose discriminators judge probabilities here. The equations are in
docs/methods/advseg.md.
"""
from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..builder import UDA
from ..losses.adversarial_loss import AdversarialLoss
from ..output import HeadOutput
from .advent import ADVENT, WEIGHTS
from .bdl import JUDGE


@UDA.register_module()
class AdvSeg(ADVENT):
    """Source labels, and probabilities that discriminators cannot tell from the source's.

    Its optimisers are 'student' and 'discriminator'.

    Args:
        model, max_iters, weights, discriminator, scale, masked: as of ``ADVENT``.
        distance: of the answers from the labels: 'mse' (least squares) or 'bce', see ``AdversarialLoss``.
    """

    def __init__(self, model: dict, max_iters: int, weights: Mapping = WEIGHTS,
                 discriminator: Mapping = JUDGE, distance: str = 'mse', scale: float = 1.0,
                 masked: dict | None = None):
        super().__init__(model, max_iters, weights, discriminator, scale, masked)
        self.adversarial = AdversarialLoss(distance)

    def judged(self, output: HeadOutput) -> Tensor:
        return output.log_prob.exp()
