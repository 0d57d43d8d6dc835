"""Data sets with the 19 classes of Cityscapes and their own file names."""
from __future__ import annotations

from mmseg.core.evaluation.class_names import SYNTHIA_SUBSETS

from .builder import DATASETS
from .cityscapes import CityscapesDataset
from .preparation.labels import left_out


@DATASETS.register_module()
class GTADataset(CityscapesDataset):
    """GTA5 (Richter et al. 2016): images/00001.png, labels/00001_labelTrainIds.png.

    Images named in excluded_images.txt of the data root, which the converter writes, are passed over.
    """

    CONVERTER = 'tools/convert_datasets/gta.py'
    DOWNLOAD = ('01_images.zip ... 10_labels.zip of '
                'https://download.visinf.tu-darmstadt.de/data/from_games/')

    def __init__(self, img_suffix: str = '.png', seg_map_suffix: str = '_labelTrainIds.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)

    def _image_names(self) -> list[str]:
        passed_over = left_out(self.data_root)
        return [name for name in super()._image_names() if name not in passed_over]


@DATASETS.register_module()
class SynthiaDataset(CityscapesDataset):
    """SYNTHIA-RAND-CITYSCAPES (Ros et al. 2016): RGB/0000000.png,
    GT/LABELS/0000000_labelTrainIds.png."""

    CLASS_SUBSETS = SYNTHIA_SUBSETS
    CONVERTER = 'tools/convert_datasets/synthia.py'
    DOWNLOAD = 'SYNTHIA_RAND_CITYSCAPES.rar of https://synthia-dataset.net'

    def __init__(self, img_suffix: str = '.png', seg_map_suffix: str = '_labelTrainIds.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)


@DATASETS.register_module()
class DarkZurichDataset(CityscapesDataset):
    """Dark Zurich (Sakaridis et al. 2019): rgb_anon/…_rgb_anon.png, gt/…_gt_labelTrainIds.png."""

    DOWNLOAD = ('Dark_Zurich_train_anon.zip, Dark_Zurich_val_anon.zip, Dark_Zurich_test_anon_withoutGt.zip '
                'of https://www.trace.ethz.ch/publications/2019/GCMA_UIoU/')

    def __init__(self, img_suffix: str = '_rgb_anon.png',
                 seg_map_suffix: str = '_gt_labelTrainIds.png', **kwargs):
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
