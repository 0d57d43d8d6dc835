from .acdc import ACDCDataset
from .builder import (
    DATASETS,
    PIPELINES,
    build_dataloader,
    build_dataset,
    build_train_dataset,
    build_train_loader,
    leaf_configs,
)
from .camvid import CamVidDataset
from .cityscapes import CityscapesDataset
from .cityscapes_like import DarkZurichDataset, GTADataset, SynthiaDataset
from .custom import CustomDataset
from .dataset_wrappers import ConcatDataset, RepeatDataset
from .loading.loader import unwrap_batch
from .uda_dataset import UDADataset
from .weather_cityscapes import FoggyCityscapesDataset, RainCityscapesDataset

__all__ = [
    'DATASETS', 'PIPELINES', 'ACDCDataset', 'CamVidDataset', 'CityscapesDataset', 'ConcatDataset',
    'CustomDataset', 'DarkZurichDataset', 'FoggyCityscapesDataset', 'GTADataset',
    'RainCityscapesDataset', 'RepeatDataset', 'SynthiaDataset', 'UDADataset', 'build_dataloader',
    'build_dataset', 'build_train_dataset', 'build_train_loader', 'leaf_configs', 'unwrap_batch',
]
