"""DANNet: night by way of the day images of the same places (Wu et al., CVPR 2021; W-zx-Y/DANNet 1e39064).

The numbers are the steps of docs/methods/dannet.md; what each is:

    1  relighting           RelitEncoderDecoder, LightLoss
    2  source loss          class_weights, pixel_weights, supervise
    3  adversarial loss     AdversarialLoss
    4  night's pseudo-label day_night_label
    5  static loss          StaticLoss
    6  discriminators       build_discriminator, AdversarialLoss
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Pass, Terms
from mmseg.utils import ConfigError, DataError
from mmseg.utils.ranges import check_range, check_ranges

from ..builder import UDA, build_loss
from ..losses.adversarial_loss import AdversarialLoss
from ..losses.supervision import supervise, weighted
from ..output import HeadOutput
from ..segmentors import RelitEncoderDecoder, RelitOutput
from ..utils.class_weight import TRAIN_STD, class_weights, pixel_weights
from .advent import SOURCE, TARGET
from .parts.day_night_label import day_night_label
from .parts.discriminator import build_discriminator
from .uda_decorator import UDADecorator

IMAGES = MappingProxyType(dict(day='reference_img', night='target_img'))
LIGHT_WEIGHTS: Mapping[str, float] = MappingProxyType(dict(source=1.0, day=0.01, night=0.01))
LIGHT: Mapping[str, Any] = MappingProxyType(dict(type='LightLoss'))
STATIC: Mapping[str, Any] = MappingProxyType(dict(type='StaticLoss'))
JUDGE: Mapping[str, Any] = MappingProxyType(dict(kind='dannet'))


@UDA.register_module()
class DANNet(UDADecorator):
    """Source labels, and night images labelled with the help of day images; all three domains are relit.

    Its optimisers are 'student' (the relighting network too) and 'discriminator'.

    Args:
        model: config of the network, a ``RelitEncoderDecoder``.
        max_iters: length of the training, in steps.
        static_classes: how many of the first classes do not move; only they are pseudo-labels.
        class_weight_std: k of the class weights in training.
        day_threshold, day_trust: of ``day_night_label``, in logits and 0–1.
        target_size: height and width to which the logits of day and night are enlarged; None takes the
            images'.
        adversarial_weight: λ_adv, of day and of night.
        light_weights: of the light loss of 'source', 'day' and 'night'.
        light, static: configs of these losses; StaticLoss is given the class weights.
        discriminator: config of both, see ``build_discriminator``.

    Raises:
        ConfigError: another network, or a value out of its range.
    """

    def __init__(self, model: dict, max_iters: int, static_classes: int = 11,
                 class_weight_std: float = TRAIN_STD, day_threshold: float = 0.4, day_trust: float = 0.8,
                 target_size: Sequence[int] | None = None, adversarial_weight: float = 0.01,
                 light_weights: Mapping = LIGHT_WEIGHTS, light: Mapping = LIGHT, static: Mapping = STATIC,
                 discriminator: Mapping = JUDGE):
        super().__init__(model)
        if not isinstance(self.model, RelitEncoderDecoder):
            raise ConfigError("uda DANNet relights images: expected model.type='RelitEncoderDecoder', got "
                              f"'{type(self.model).__name__}'")
        check_range(static_classes, 'uda.static_classes', 1, self.num_classes)
        check_range(day_trust, 'uda.day_trust', 0, 1)
        check_ranges('uda.', class_weight_std=class_weight_std, adversarial_weight=adversarial_weight)
        self.max_iters = max_iters
        self.light_weights, self.target_size = _checked(light_weights, target_size)
        weight = class_weights(self.model.class_frequency, class_weight_std)
        self.register_buffer('class_weight', weight, persistent=False)
        self.fusion = dict(static=static_classes, threshold=day_threshold, trust=day_trust,
                           ignore_index=self.model.decode_head.ignore_index)
        self.light = build_loss(dict(light))
        self.static = build_loss({'class_weight': weight[:static_classes], **static})
        self.adversarial = AdversarialLoss('mse', adversarial_weight)
        self.discriminators = nn.ModuleDict({name: build_discriminator(dict(discriminator), self.num_classes)
                                             for name in IMAGES})

    def networks(self) -> dict[str, nn.Module]:
        return {'student': self.model, **{f'd_{name}': net for name, net in self.discriminators.items()}}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'student': ('student',), 'discriminator': tuple(f'd_{name}' for name in IMAGES)}

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """Day, night, source, discriminators.

        Args:
            batch: normalised images ``img`` (source), ``target_img`` (night) and ``reference_img`` (the same
                places by day) (B 3 H W); ``gt_semantic_seg`` of the source (B 1 H W), int64.

        Raises:
            DataError: no day images, or of another size than those of night.
        """
        _check_pair(batch)
        seen: dict[str, Tensor] = {}
        return [Pass(lambda: self._day(batch, seen), ('student',)),
                Pass(lambda: self._night(batch, seen), ('student',)),
                Pass(lambda: self._source(batch, seen), ('student',)),
                Pass(lambda: self._judged(seen), self.trainable()['discriminator'])]

    def _day(self, batch: Mapping[str, Any], seen: dict) -> Terms:
        return self._adapted('day', batch, seen)[1]

    def _night(self, batch: Mapping[str, Any], seen: dict) -> Terms:
        logits, terms = self._adapted('night', batch, seen)
        label = day_night_label(seen['day'], seen['night'], self.class_weight, **self.fusion)        # 4
        value = self.static(logits, label, self.fusion['ignore_index'])                              # 5
        return terms + weighted(self.static, value).prefixed('night')

    def _source(self, batch: Mapping[str, Any], seen: dict) -> Terms:
        [output] = self.network('student')(batch['img'])
        seen['source'] = output.logits.detach()
        label = batch['gt_semantic_seg']
        weight = pixel_weights(label, self.class_weight, self.fusion['ignore_index'])
        return supervise(output, label, weight) + self._light('source', output, batch['img'], batch)  # 2

    def _adapted(self, domain: str, batch: Mapping[str, Any], seen: dict) -> tuple[Tensor, Terms]:
        """Logits of day or night, at ``target_size``, and the losses that both have."""
        img = batch[IMAGES[domain]]
        [output] = self.network('student')(img)
        logits = self._enlarged(output.prediction)
        seen[domain] = logits.detach()
        fooled = self._answer(domain, logits, SOURCE)                                                # 3
        return logits, (self._light(domain, output, img, batch)
                        + weighted(self.adversarial, fooled).prefixed(domain))

    def _light(self, domain: str, output: RelitOutput, img: Tensor, batch: Mapping[str, Any]) -> Terms:
        value = self.light(output.residual, img, batch['target_img'].mean())                         # 1
        return weighted(self.light, value).scaled(self.light_weights[domain]).prefixed(domain)

    def _judged(self, seen: dict) -> Terms:
        return Terms({f'd.{name}.{domain}': self._answer(name, seen[domain], wanted) / 2             # 6
                      for name in IMAGES for domain, wanted in (('source', SOURCE), (name, TARGET))})

    def _answer(self, name: str, logits: Tensor, wanted: int) -> Tensor:
        return self.adversarial(self.network(f'd_{name}')(logits.softmax(dim=1)), wanted)

    def _enlarged(self, prediction: HeadOutput) -> Tensor:
        if self.target_size is None:
            return prediction.logits
        return prediction.head.upsample(prediction.coarse, self.target_size)


def _checked(light_weights: Mapping, size: Sequence[int] | None) -> tuple[dict, tuple[int, ...] | None]:
    if set(light_weights) != set(LIGHT_WEIGHTS):
        raise ConfigError(f'uda.light_weights has {", ".join(map(str, light_weights)) or "nothing"}, '
                          f'expected {", ".join(LIGHT_WEIGHTS)}')
    check_ranges('uda.light_weights.', **light_weights)
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ConfigError(f'uda.target_size is {list(size)}, expected height and width')
    return dict(light_weights), None if size is None else tuple(size)


def _check_pair(batch: Mapping[str, Any]) -> None:
    if IMAGES['day'] not in batch:
        raise DataError("uda DANNet: no day images; give data.train.domains=dict(reference=dict(…, "
                        "paired_with='target'))")
    shapes = {name: tuple(batch[key].shape) for name, key in IMAGES.items()}
    if shapes['day'] != shapes['night']:
        raise DataError(f'uda DANNet: day images {shapes["day"]} and night images {shapes["night"]}, '
                        'expected pairs of one size')
