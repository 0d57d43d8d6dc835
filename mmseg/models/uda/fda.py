"""FDA: the source with the target's low frequencies, and the entropy of the target (Yang and Soatto, CVPR
2020, eq. 1–7; YanchaoYang/FDA b9a0cdf).

Three networks with β 0.01, 0.05 and 0.09 are averaged; the pseudo-labels of a further round are files
(``data.train.target.pseudo_labels``). The numbers are the steps of docs/methods/fda.md.
"""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor

from mmseg.core.method import Pass, Terms

from ..builder import UDA, build_loss
from ..losses.supervision import supervise, weighted
from .parts.fourier import FourierTransfer
from .uda_decorator import UDADecorator

CHARBONNIER: Mapping[str, Any] = MappingProxyType(
    dict(type='CharbonnierEntropyLoss', eta=2.0, loss_weight=0.005))


@UDA.register_module()
class FDA(UDADecorator):
    """Labels of restyled source images, a penalty on the target's entropy and, where the target has them,
    pseudo-labels.

    Args:
        model: config of the network.
        max_iters: length of the training, in steps.
        beta: β of the Fourier transfer, 0 ≤ β < ½.
        window: 'code', as the authors trained, or 'paper', see ``low_frequencies``.
        entropy: config of a loss on the target's logits at the network's own resolution.
    """

    def __init__(self, model: dict, max_iters: int, beta: float = 0.01, window: str = 'code',
                 entropy: Mapping = CHARBONNIER):
        super().__init__(model)
        self.max_iters = max_iters
        self.transfer = FourierTransfer(beta, window)
        self.entropy = build_loss(dict(entropy))

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        restyled = self.transfer(batch['img'], batch['target_img'], batch['img_metas'],              # 1
                                 batch['target_img_metas'])
        return [Pass(lambda: self._source(restyled, batch['gt_semantic_seg']), ('student',)),        # 2
                Pass(lambda: self._target(batch), ('student',))]                                     # 3, 4

    def _source(self, img: Tensor, label: Tensor) -> Terms:
        [output] = self.network('student')(img)
        return supervise(output, label)

    def _target(self, batch: Mapping[str, Any]) -> Terms:
        [output] = self.network('student')(batch['target_img'])
        terms = weighted(self.entropy, self.entropy(output.prediction.coarse))
        label = batch.get('target_pseudo_semantic_seg')
        return (terms if label is None else terms + supervise(output, label)).prefixed('trg')
