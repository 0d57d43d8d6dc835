from .class_names import (
    SYNTHIA_SUBSETS,
    cityscapes_classes,
    cityscapes_palette,
    generated_palette,
    get_classes,
    get_palette,
)
from .confusion_matrix import ConfusionMatrix
from .metrics import (
    eval_metrics,
    intersect_and_union,
    mean_dice,
    mean_fscore,
    mean_iou,
    remap_label,
    total_intersect_and_union,
)
from .scores import areas_to_metrics, mean_over

__all__ = [
    'SYNTHIA_SUBSETS', 'ConfusionMatrix', 'areas_to_metrics', 'cityscapes_classes', 'cityscapes_palette',
    'eval_metrics', 'generated_palette', 'get_classes', 'get_palette', 'intersect_and_union', 'mean_dice',
    'mean_fscore', 'mean_iou', 'mean_over', 'remap_label', 'total_intersect_and_union',
]


def __getattr__(name: str) -> object:
    from mmseg.compat import moved_attribute
    return moved_attribute(__name__, name)
