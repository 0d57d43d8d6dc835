"""ProDA's warm-up, whose weights stage 1 starts from: an adversarial training (Zhang et al., CVPR 2021;
microsoft/ProDA 9ba80c7)."""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from mmseg.core.method import Terms

from ..builder import UDA
from ..losses.adversarial_loss import AdversarialLoss
from .advent import SOURCE, TARGET
from .bdl import BDL

JUDGE: Mapping[str, Any] = MappingProxyType(dict(kind='proda'))


@UDA.register_module()
class ProDAWarmup(BDL):
    """Source labels, and a discriminator of probabilities with least squares.

    Its optimisers are 'student' and 'discriminator'.

    Args:
        model: config of the network.
        max_iters: length of the training, in steps.
        adversarial_weight: λ_adv.
        discriminator: its config, see ``build_discriminator``.
    """

    def __init__(self, model: dict, max_iters: int, adversarial_weight: float = 0.01,
                 discriminator: Mapping = JUDGE):
        super().__init__(model, max_iters, adversarial_weight, discriminator)
        self.adversarial = AdversarialLoss('mse', adversarial_weight)

    def _judged(self, seen: dict) -> Terms:
        return Terms({f'd.{name}': self.adversarial(self.network('discriminator')(seen[label]), label)
                      for name, label in (('source', SOURCE), ('target', TARGET))})
