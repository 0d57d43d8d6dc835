"""The smallest method with all that one may have: a discriminator with an optimiser of its own, and a third
domain. Outside of the package, as a user would write one."""
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from mmseg.core.method import Pass, Terms
from mmseg.models.builder import UDA
from mmseg.models.losses.supervision import supervise
from mmseg.models.uda import UDADecorator


@UDA.register_module()
class ToyAdversarial(UDADecorator):
    """Source labels, and predictions on two domains that a discriminator cannot tell from the source's."""

    def __init__(self, model: dict, max_iters: int = 1, weight: float = 0.1):
        super().__init__(model)
        self.discriminator = nn.Conv2d(self.num_classes, 1, 4, 4)
        self.weight = weight

    def networks(self) -> dict[str, nn.Module]:
        return {'student': self.model, 'discriminator': self.discriminator}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'student': ('student',), 'discriminator': ('discriminator',)}

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        seen: dict[str, torch.Tensor] = {}

        def student() -> Terms:
            images = batch['img'], batch['target_img'], batch['reference_img']
            source, *others = self.network('student')(*images)
            for name, output in zip(('source', 'target', 'reference'), (source, *others)):
                seen[name] = output.log_prob.detach()
            fooled = [self.judged(output.log_prob, 1) for output in others]
            return supervise(source, batch['gt_semantic_seg']) + Terms({'adv': self.weight * sum(fooled)})

        def discriminator() -> Terms:
            return Terms({f'd_{name}': self.judged(each, name == 'source') for name, each in seen.items()})

        return [Pass(student, ('student',)), Pass(discriminator, ('discriminator',))]

    def judged(self, log_prob: torch.Tensor, label: float) -> torch.Tensor:
        logits = self.network('discriminator')(log_prob.exp())
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(label)))
