"""BDL, its segmentation half: adversarial training on translated images and pseudo-labels (Li et al., CVPR
2019, eq. 1–7; liyunsheng13/BDL a0e5821).

The source images are translated beforehand (``data.train.source.translated``), and the pseudo-labels of the
second round are files (``data.train.target.pseudo_labels``). The numbers are the steps of
docs/methods/bdl.md.
"""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Pass, Terms
from mmseg.utils.ranges import check_range

from ..builder import UDA
from ..losses.adversarial_loss import AdversarialLoss
from ..losses.supervision import supervise
from .advent import SOURCE, TARGET, source_images
from .parts.discriminator import build_discriminator
from .uda_decorator import UDADecorator

JUDGE: Mapping[str, Any] = MappingProxyType(dict(kind='bdl'))


@UDA.register_module()
class BDL(UDADecorator):
    """Source labels, a discriminator of probabilities and, where the target has them, pseudo-labels.

    Its optimisers are 'student' and 'discriminator'.

    Args:
        model: config of the network.
        max_iters: length of the training, in steps.
        adversarial_weight: λ_adv.
        discriminator: its config, see ``build_discriminator``.
    """

    def __init__(self, model: dict, max_iters: int, adversarial_weight: float = 1e-3,
                 discriminator: Mapping = JUDGE):
        super().__init__(model)
        check_range(adversarial_weight, 'uda.adversarial_weight', 0)
        self.max_iters = max_iters
        self.discriminator = build_discriminator(dict(discriminator), self.num_classes)
        self.adversarial = AdversarialLoss('bce', adversarial_weight)

    def networks(self) -> dict[str, nn.Module]:
        return {'student': self.model, 'discriminator': self.discriminator}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'student': ('student',), 'discriminator': ('discriminator',)}

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        seen: dict[int, Tensor] = {}
        return [Pass(lambda: self._source(batch, seen), ('student',)),                               # 1
                Pass(lambda: self._target(batch, seen), ('student',)),                               # 2, 3
                Pass(lambda: self._judged(seen), ('discriminator',))]                                # 4

    def _source(self, batch: Mapping[str, Any], seen: dict) -> Terms:
        output, terms = source_images(self.network('student'), batch)
        seen[SOURCE] = output.log_prob.detach().exp()
        return terms

    def _target(self, batch: Mapping[str, Any], seen: dict) -> Terms:
        [output] = self.network('student')(batch['target_img'])
        prob = output.log_prob.exp()
        seen[TARGET] = prob.detach()
        fooled = self.adversarial(self.network('discriminator')(prob), SOURCE)
        terms = Terms({'trg.adversarial': self.adversarial.loss_weight * fooled})
        label = batch.get('target_pseudo_semantic_seg')
        return terms if label is None else terms + supervise(output, label).prefixed('trg')

    def _judged(self, seen: dict) -> Terms:
        return Terms({f'd.{name}': self.adversarial(self.network('discriminator')(seen[label]), label) / 2
                      for name, label in (('source', SOURCE), ('target', TARGET))})
