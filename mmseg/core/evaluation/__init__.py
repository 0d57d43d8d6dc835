from .class_names import (
    SYNTHIA_SUBSETS,
    cityscapes_classes,
    cityscapes_palette,
    get_classes,
    get_palette,
)
from .confusion_matrix import ConfusionMatrix
from .eval_hooks import DistEvalHook, EvalHook, class_subsets, further_means
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
    'SYNTHIA_SUBSETS', 'ConfusionMatrix', 'DistEvalHook', 'EvalHook', 'areas_to_metrics',
    'cityscapes_classes', 'cityscapes_palette', 'class_subsets', 'eval_metrics', 'further_means',
    'get_classes', 'get_palette', 'intersect_and_union', 'mean_dice', 'mean_fscore', 'mean_iou',
    'mean_over', 'remap_label', 'total_intersect_and_union',
]
