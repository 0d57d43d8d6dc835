from .colours import Normalisation
from .cycle_losses import (
    DISCRIMINATORS,
    GENERATORS,
    Translation,
    TranslationWeights,
    discriminator_losses,
    generator_losses,
    init_weights,
    semantic_loss,
    translate,
)
from .image_pool import ImagePool
from .joint_upsampling import JointUpsampling
from .patch_discriminator import PatchDiscriminator
from .resnet_generator import ResNetGenerator

__all__ = ['DISCRIMINATORS', 'GENERATORS', 'ImagePool', 'JointUpsampling', 'Normalisation',
           'PatchDiscriminator', 'ResNetGenerator', 'Translation', 'TranslationWeights',
           'discriminator_losses', 'generator_losses', 'init_weights', 'semantic_loss', 'translate']
