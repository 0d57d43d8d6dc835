"""Translation between two domains without pairs (CycleGAN: Zhu et al., ICCV 2017), with the perceptual terms
of BDL (Li et al., CVPR 2019, eq. 3–4)."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from mmseg.utils.ranges import check_ranges

from ..losses import AdversarialLoss
from .patch_discriminator import PatchDiscriminator
from .resnet_generator import ResNetGenerator

Segment = Callable[[Tensor], Tensor]


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


class Translation(NamedTuple):
    """Images (B 3 H W) in −1 … 1: of A and B, translated, and translated back."""

    real_a: Tensor
    real_b: Tensor
    fake_b: Tensor
    fake_a: Tensor
    restored_a: Tensor
    restored_b: Tensor


class CycleGAN(nn.Module):
    """Two generators and two discriminators.

    Args:
        blocks: residual blocks of the generators.
        channels: of the first convolution of all four.
        weights: of the losses.
    """

    def __init__(self, blocks: int = 9, channels: int = 64, weights: TranslationWeights | None = None):
        super().__init__()
        self.weights = weights or TranslationWeights()
        self.G_A, self.G_B = (ResNetGenerator(blocks, 'IN', channels) for _ in range(2))  # A → B, B → A
        self.D_A, self.D_B = (PatchDiscriminator(channels) for _ in range(2))  # of images in B, in A
        self.distance = AdversarialLoss('mse')
        init_weights(self)

    def forward(self, real_a: Tensor, real_b: Tensor) -> Translation:
        """There and back again."""
        fake_b, fake_a = self.G_A(real_a), self.G_B(real_b)
        return Translation(real_a, real_b, fake_b, fake_a, self.G_B(fake_b), self.G_A(fake_a))

    def generator_losses(self, images: Translation, segment: Segment | None = None) -> dict[str, Tensor]:
        """Weighted losses of the generators, 0-dim: ``G_*``, ``cycle_*``, ``idt_*`` and, with a segmenter,
        ``sem_*`` and ``rec_sem_*`` of both directions, and ``G``, their sum.

        Args:
            segment: images → logits (B C h w) that keep what the images show. Its weights should not learn.
        """
        w, real_a, real_b = self.weights, images.real_a, images.real_b
        losses = {
            'G_A': w.adversarial * self.distance(self.D_A(images.fake_b), 1),
            'G_B': w.adversarial * self.distance(self.D_B(images.fake_a), 1),
            'cycle_A': w.cycle * F.l1_loss(images.restored_a, real_a),
            'cycle_B': w.cycle * F.l1_loss(images.restored_b, real_b)}
        if w.identity:
            losses['idt_A'] = w.identity * F.l1_loss(self.G_A(real_b), real_b)
            losses['idt_B'] = w.identity * F.l1_loss(self.G_B(real_a), real_a)
        if segment is not None:
            logits = {name: segment(value) for name, value in images._asdict().items()}
            for one, other in (('a', 'b'), ('b', 'a')):
                real = logits[f'real_{one}']
                losses[f'sem_{one.upper()}'] = w.semantic * semantic_loss(logits[f'fake_{other}'], real)
                losses[f'rec_sem_{one.upper()}'] = w.restored_semantic * semantic_loss(
                    logits[f'restored_{one}'], real)
        return {**losses, 'G': sum(losses.values())}

    def discriminator_losses(self, images: Translation) -> dict[str, Tensor]:
        """``D_A`` and ``D_B``, 0-dim: the halves of real and translated images, halved. The translated ones,
        which an ``ImagePool`` may have exchanged, are taken as they are: the generators do not learn."""
        return {name: (self.distance(judge(real), 1) + self.distance(judge(fake.detach()), 0)) / 2
                for name, judge, real, fake in (('D_A', self.D_A, images.real_b, images.fake_b),
                                                ('D_B', self.D_B, images.real_a, images.fake_a))}


def semantic_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """Mean squared difference of logits (B C h w), each class of each image normalised to mean 0 and
    variance 1."""
    return F.mse_loss(F.instance_norm(logits.float()), F.instance_norm(reference.float()))


def to_network(images: Tensor, mean: Sequence[float], std: Sequence[float], to_rgb: bool = True) -> Tensor:
    """RGB images (B 3 H W) in −1 … 1 as a segmenter wants them: normalised by ``mean`` and ``std`` in
    units of 0 … 255; in BGR without ``to_rgb``."""
    pixels = 127.5 * (images + 1)
    pixels = pixels if to_rgb else pixels.flip(1)
    return (pixels - pixels.new_tensor(mean).view(1, -1, 1, 1)) / pixels.new_tensor(std).view(1, -1, 1, 1)


def init_weights(network: nn.Module) -> None:
    """N(0, 0.02) for convolutions and 0 for biases, as the authors start."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
