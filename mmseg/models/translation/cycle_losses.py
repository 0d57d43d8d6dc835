"""Translation between two domains without pairs (CycleGAN: Zhu et al., ICCV 2017), with the perceptual terms
of BDL (Li et al., CVPR 2019, eq. 3–4)."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_ranges

from ..losses.adversarial_loss import AdversarialLoss

GENERATORS = ('G_A', 'G_B')  # A → B, B → A
DISCRIMINATORS = ('D_A', 'D_B')  # of images in B, in A
Networks = Callable[[str], nn.Module]  # one of them by its name
Segment = Callable[[Tensor], Tensor]
DISTANCE = AdversarialLoss('mse')


@dataclass(frozen=True)
class TranslationWeights:
    """Factors of the losses of a direction; those of BDL. Plain CycleGAN has neither semantic term."""

    adversarial: float = 1.0
    cycle: float = 10.0
    identity: float = 5.0
    semantic: float = 0.1
    restored_semantic: float = 10.0

    def __post_init__(self) -> None:
        check_ranges('the weight of a translation ', **vars(self))

    @property
    def perceptual(self) -> bool:
        """Whether a segmenter is needed."""
        return self.semantic > 0 or self.restored_semantic > 0


class Translation(NamedTuple):
    """RGB images (B 3 H W) in −1 … 1: of A and B, translated, and translated back."""

    real_a: Tensor
    real_b: Tensor
    fake_b: Tensor
    fake_a: Tensor
    restored_a: Tensor
    restored_b: Tensor


def translate(networks: Networks, real_a: Tensor, real_b: Tensor) -> Translation:
    """There and back again."""
    to_b, to_a = (networks(name) for name in GENERATORS)
    fake_b, fake_a = to_b(real_a), to_a(real_b)
    return Translation(real_a, real_b, fake_b, fake_a, to_a(fake_b), to_b(fake_a))


def generator_losses(networks: Networks, images: Translation, weights: TranslationWeights,
                     segment: Segment | None = None) -> dict[str, Tensor]:
    """Weighted losses of the generators, 0-dim: ``G_*``, ``cycle_*``, ``idt_*`` and, with a segmenter,
    ``sem_*`` and ``rec_sem_*`` of both directions.

    Args:
        segment: images → logits (B C h w) that keep what the images show. Its weights should not learn.
    """
    real_a, real_b = images.real_a, images.real_b
    losses = {
        'G_A': weights.adversarial * DISTANCE(networks('D_A')(images.fake_b), 1),
        'G_B': weights.adversarial * DISTANCE(networks('D_B')(images.fake_a), 1),
        'cycle_A': weights.cycle * F.l1_loss(images.restored_a, real_a),
        'cycle_B': weights.cycle * F.l1_loss(images.restored_b, real_b)}
    if weights.identity:
        losses['idt_A'] = weights.identity * F.l1_loss(networks('G_A')(real_b), real_b)
        losses['idt_B'] = weights.identity * F.l1_loss(networks('G_B')(real_a), real_a)
    if segment is not None:
        logits = {name: segment(value) for name, value in images._asdict().items()}
        for one, other in (('a', 'b'), ('b', 'a')):
            real = logits[f'real_{one}']
            losses[f'sem_{one.upper()}'] = weights.semantic * semantic_loss(logits[f'fake_{other}'], real)
            losses[f'rec_sem_{one.upper()}'] = weights.restored_semantic * semantic_loss(
                logits[f'restored_{one}'], real)
    return losses


def discriminator_losses(networks: Networks, images: Translation) -> dict[str, Tensor]:
    """``D_A`` and ``D_B``, 0-dim: the halves of real and translated images, halved. The translated ones,
    which an ``ImagePool`` may have exchanged, are taken as they are: the generators do not learn."""
    found = {}
    for name, real, fake in (('D_A', images.real_b, images.fake_b), ('D_B', images.real_a, images.fake_a)):
        judge = networks(name)
        found[name] = (DISTANCE(judge(real), 1) + DISTANCE(judge(fake.detach()), 0)) / 2
    return found


def semantic_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference of logits (B C h w), each class of each image normalised to mean 0 and
    variance 1."""
    return F.mse_loss(F.instance_norm(logits.float()), F.instance_norm(reference.float()))


def init_weights(network: nn.Module) -> None:
    """N(0, 0.02) for convolutions and 0 for biases, as the authors start."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
