from .compose import Compose
from .formatting import (
    Collect,
    DefaultFormatBundle,
    ImageToTensor,
    ToDataContainer,
    ToTensor,
    Transpose,
    WrapFieldsToLists,
    to_tensor,
)
from .full_image import KeepFullImage
from .geometric import Pad, RandomCrop, RandomFlip, RandomRotate, Resize, SegRescale
from .loading import LoadAnnotations, LoadImageFromFile
from .photometric import (
    CLAHE,
    AdjustGamma,
    Normalize,
    PhotoMetricDistortion,
    RandomCutOut,
    Rerange,
    RGB2Gray,
)
from .pseudo_labels import LoadPseudoLabels
from .test_time_aug import MultiScaleFlipAug

__all__ = [
    'CLAHE', 'AdjustGamma', 'Collect', 'Compose', 'DefaultFormatBundle', 'ImageToTensor', 'KeepFullImage',
    'LoadAnnotations', 'LoadImageFromFile', 'LoadPseudoLabels', 'MultiScaleFlipAug', 'Normalize', 'Pad',
    'PhotoMetricDistortion', 'RGB2Gray', 'RandomCrop', 'RandomCutOut', 'RandomFlip', 'RandomRotate',
    'Rerange', 'Resize', 'SegRescale', 'ToDataContainer', 'ToTensor', 'Transpose',
    'WrapFieldsToLists', 'to_tensor',
]
