from .cycle_gan import CycleGAN, Translation, TranslationWeights, semantic_loss, to_network
from .image_pool import ImagePool
from .patch_discriminator import PatchDiscriminator
from .resnet_generator import ResNetGenerator

__all__ = ['CycleGAN', 'ImagePool', 'PatchDiscriminator', 'ResNetGenerator', 'Translation',
           'TranslationWeights', 'semantic_loss', 'to_network']
