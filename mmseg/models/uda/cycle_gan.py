"""Training of the networks that translate the source: CycleGAN (Zhu et al., ICCV 2017) with the perceptual
terms of BDL (Li et al., CVPR 2019, eq. 3–4; liyunsheng13/BDL a0e5821).

tools/translate.py makes the images, and ``data.train.source.translated`` takes them. The numbers are the
steps of docs/methods/translation.md.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from torch import Tensor, nn

from mmseg.core.method import Pass, Terms
from mmseg.utils import DataError
from mmseg.utils.registry import check_keys

from ..builder import UDA
from ..translation import (
    DISCRIMINATORS,
    GENERATORS,
    ImagePool,
    Normalisation,
    PatchDiscriminator,
    ResNetGenerator,
    Translation,
    TranslationWeights,
    discriminator_losses,
    generator_losses,
    init_weights,
    translate,
)
from .uda_decorator import UDADecorator

OF_BDL: Mapping[str, float] = MappingProxyType(vars(TranslationWeights()))


@UDA.register_module()
class CycleGAN(UDADecorator):
    """Two generators and two discriminators; the segmenter, which does not learn, says what translations
    should keep. A is the source, B the target.

    Its optimisers are 'generator' and 'discriminator'. Inference is the segmenter's. Each process has its
    own pools of images.

    Args:
        model: config of the segmenter. Its weights come with ``load_from``.
        max_iters: length of the training, in steps.
        blocks: residual blocks of the generators.
        channels: of the first convolution of all four networks.
        pool_size: images that each discriminator's ``ImagePool`` holds.
        weights: of the losses, see ``TranslationWeights``; those that are left out are BDL's. Without
            'semantic' and 'restored_semantic' (0) it is plain CycleGAN.
    """

    needs = ()  # which images there are is looked at with their channels

    def __init__(self, model: dict, max_iters: int, blocks: int = 9, channels: int = 64, pool_size: int = 50,
                 weights: Mapping = OF_BDL):
        super().__init__(model)
        check_keys(weights, {field.name for field in fields(TranslationWeights)}, 'uda.weights')
        self.max_iters, self.weights = max_iters, TranslationWeights(**weights)
        self.G_A, self.G_B = (ResNetGenerator(blocks, 'IN', channels) for _ in GENERATORS)
        self.D_A, self.D_B = (PatchDiscriminator(channels) for _ in DISCRIMINATORS)
        for name in GENERATORS + DISCRIMINATORS:
            init_weights(getattr(self, name))
        self.pools = {name: ImagePool(pool_size) for name in ('fake_b', 'fake_a')}
        self.model.requires_grad_(False)
        self.train()

    def networks(self) -> dict[str, nn.Module]:
        translators = {name: getattr(self, name) for name in GENERATORS + DISCRIMINATORS}
        return {'segmenter': self.model, **translators}

    def trainable(self) -> dict[str, tuple[str, ...]]:
        return {'generator': GENERATORS, 'discriminator': DISCRIMINATORS}

    def train(self, mode: bool = True) -> CycleGAN:
        super().train(mode)
        self.model.eval()
        return self

    def training_state(self) -> dict[str, Any]:
        return {**super().training_state(), 'pools': {k: pool.state_dict() for k, pool in self.pools.items()}}

    def load_training_state(self, state: dict[str, Any]) -> None:
        super().load_training_state(state)
        for name, pool in self.pools.items():
            pool.load_state_dict(state.get('pools', {}).get(name, {}))

    def passes(self, batch: Mapping[str, Any]) -> list[Pass]:
        """The generators, then the discriminators.

        Args:
            batch: normalised images ``img`` and ``target_img`` (B 3 H W), and their meta data.

        Raises:
            DataError: no target, or images without three channels.
        """
        _check(batch)
        seen: list[Translation] = []
        return [Pass(lambda: self._translated(batch, seen), GENERATORS),
                Pass(lambda: self._judged(seen[0]), DISCRIMINATORS)]

    def _translated(self, batch: Mapping[str, Any], seen: list[Translation]) -> Terms:
        of_source, of_target = (Normalisation.of(batch[f'{key}_metas'][0]['img_norm_cfg'], batch[key].device)
                                for key in ('img', 'target_img'))
        images = translate(self.network, of_source.to_unit(batch['img']),                            # 1
                           of_target.to_unit(batch['target_img']))
        seen.append(Translation(*(image.detach() for image in images)))

        def segment(image: Tensor) -> Tensor:
            [output] = self.network('segmenter')(of_source.from_unit(image))
            return output.prediction.coarse

        perceptual = segment if self.weights.perceptual else None
        return Terms(generator_losses(self.network, images, self.weights, perceptual))               # 2, 3

    def _judged(self, images: Translation) -> Terms:
        exchanged = {name: pool.exchange(getattr(images, name)) for name, pool in self.pools.items()}  # 4
        return Terms(discriminator_losses(self.network, images._replace(**exchanged)))               # 5


def _check(batch: Mapping[str, Any]) -> None:
    for key in ('img', 'target_img'):
        if key not in batch or batch[key].shape[1] != 3:
            found = f'of {batch[key].shape[1]} channels' if key in batch else 'missing'
            raise DataError(f"uda CycleGAN: {key} is {found}, expected colour images of a source and a "
                            "target (data.train of type 'UDADataset')")
