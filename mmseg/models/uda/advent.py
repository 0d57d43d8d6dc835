"""ADVENT: entropy as what the domains differ in (Vu et al., CVPR 2019; valeoai/ADVENT 3e58d45).

MinEnt minimises the entropy of the target (eq. 3–5), AdvEnt lets a discriminator judge maps of
self-information (eq. 6–8). The numbers are the steps of docs/methods/advent.md.
"""
from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Pass, Terms
from mmseg.utils import ConfigError
from mmseg.utils.ranges import check_range
from mmseg.utils.registry import check_keys

from ..builder import UDA
from ..losses.adversarial_loss import AdversarialLoss
from ..losses.minent_loss import MinEntLoss, self_information
from ..losses.supervision import regularise, supervise
from ..output import HeadOutput, SegOutput
from .parts.discriminator import build_discriminator
from .parts.masked_host import MaskedHost

SOURCE, TARGET = 0, 1  # what a discriminator should say
WEIGHTS: Mapping[str, float] = MappingProxyType(dict(decode=1e-3, aux=2e-4))
JUDGE: Mapping[str, Any] = MappingProxyType(dict(kind='advent'))


def judged_outputs(model: nn.Module, weights: Mapping[str, float], where: str) -> dict[str, float]:
    """The weight of each output that is adapted: those of ``weights`` that the network has.

    Raises:
        ConfigError: a weight below 0, or the network has none of the outputs.
    """
    for name, weight in weights.items():
        check_range(weight, f'{where}.{name}', 0)
    own = {'decode', *(name for name, _ in model.auxiliary_heads())}
    check_keys(weights, own | {'aux'}, where)  # 'aux' stands in the settings of networks without it
    found = {name: weight for name, weight in weights.items() if name in own}
    if not found:
        raise ConfigError(f'{where}: the network has the outputs {", ".join(sorted(own))}, and weights are '
                          f'given for {", ".join(weights) or "none"}')
    return found


def source_images(network: nn.Module, batch: Mapping[str, Any]) -> tuple[SegOutput, Terms]:
    """The outputs of the source images, and the losses of their labels."""
    [output] = network(batch['img'])
    return output, supervise(output, batch['gt_semantic_seg'])


@UDA.register_module()
class MinEnt(MaskedHost):
    """Source labels, and the entropy of the target.

    Args:
        model: config of the network.
        max_iters: length of the training, in steps.
        weights: λ_ent of each output, 'decode' and, if the network has it, 'aux'.
        scale: of the outputs whose entropy it is, to the image; 0.5 in the rows with HRDA.
        masked: settings of a pass on masked images, see ``MaskedHost``; None is without it.
    """

    def __init__(self, model: dict, max_iters: int, weights: Mapping = WEIGHTS, scale: float = 1.0,
                 masked: dict | None = None):
        super().__init__(model, masked)
        check_range(scale, 'uda.scale', above=0)
        self.max_iters, self.scale = max_iters, scale
        self.entropies = {name: MinEntLoss(weight) for name, weight in
                          judged_outputs(self.model, weights, 'uda.weights').items()}

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        return [Pass(lambda: source_images(self.network('student'), batch)[1], ('student',)),        # 1
                Pass(lambda: self._target(batch['target_img']), ('student',)),                       # 2
                *self.masked_passes(batch)]

    def _target(self, img: Tensor) -> Terms:
        [output] = self.network('student')(img)
        terms = Terms()
        for name, loss in self.entropies.items():
            adapted = output.supervised[name].scaled(self.scale)
            terms = terms + regularise([loss], adapted).prefixed(f'trg.{name}')
        return terms


@UDA.register_module()
class ADVENT(MaskedHost):
    """Source labels, and maps of self-information that discriminators cannot tell from the source's.

    Its optimisers are 'student' and 'discriminator'.

    Args:
        model: config of the network.
        max_iters: length of the training, in steps.
        weights: λ_adv of each output, 'decode' and, if the network has it, 'aux'; each has a discriminator.
        discriminator: config of them, see ``build_discriminator``.
        scale, masked: as of ``MinEnt``; the scale is of what the discriminators see.
    """

    def __init__(self, model: dict, max_iters: int, weights: Mapping = WEIGHTS,
                 discriminator: Mapping = JUDGE, scale: float = 1.0, masked: dict | None = None):
        super().__init__(model, masked)
        check_range(scale, 'uda.scale', above=0)
        self.max_iters, self.scale = max_iters, scale
        self.weights = judged_outputs(self.model, weights, 'uda.weights')
        self.discriminators = nn.ModuleDict({name: build_discriminator(dict(discriminator), self.num_classes)
                                             for name in self.weights})
        self.adversarial = AdversarialLoss('bce')

    def networks(self) -> dict[str, nn.Module]:
        return {**super().networks(), **{f'd_{name}': net for name, net in self.discriminators.items()}}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'student': ('student',), 'discriminator': tuple(f'd_{name}' for name in self.weights)}

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        maps: dict[int, dict[str, Tensor]] = {}
        return [Pass(lambda: self._source(batch, maps), ('student',)),                               # 1
                Pass(lambda: self._target(batch['target_img'], maps), ('student',)),                 # 2
                *self.masked_passes(batch),
                Pass(lambda: self._discriminate(maps), self.trainable()['discriminator'])]           # 3

    def judged(self, output: HeadOutput) -> Tensor:
        """What the discriminators see of an output (B C h w)."""
        return self_information(output.log_prob.exp())

    def _source(self, batch: Mapping[str, Any], maps: dict) -> Terms:
        output, terms = source_images(self.network('student'), batch)
        maps[SOURCE] = {name: value.detach() for name, value in self._maps(output).items()}
        return terms

    def _target(self, img: Tensor, maps: dict) -> Terms:
        [output] = self.network('student')(img)
        found = self._maps(output)
        maps[TARGET] = {name: value.detach() for name, value in found.items()}
        return Terms({f'trg.{name}.adversarial': self.weights[name] * self._answer(name, value, SOURCE)
                      for name, value in found.items()})

    def _discriminate(self, maps: dict) -> Terms:
        return Terms({f'd.{name}.{domain}': self._answer(name, maps[label][name], label) / 2
                      for name in self.weights for domain, label in (('source', SOURCE), ('target', TARGET))})

    def _maps(self, output: SegOutput) -> dict[str, Tensor]:
        return {name: self.judged(output.supervised[name].scaled(self.scale)) for name in self.weights}

    def _answer(self, name: str, judged: Tensor, label: int) -> Tensor:
        return self.adversarial(self.network(f'd_{name}')(judged), label)
