from mmseg.utils import quick_start  # noqa: F401  before all that imports mmcv.runner

from .backbones import *  # noqa: F403
from .builder import (
                      BACKBONES,
                      HEADS,
                      LOSSES,
                      NECKS,
                      SEGMENTORS,
                      UDA,
                      build_backbone,
                      build_head,
                      build_loss,
                      build_neck,
                      build_segmentor,
                      build_train_model,
)
from .decode_heads import *  # noqa: F403
from .losses import *  # noqa: F403
from .necks import *  # noqa: F403
from .segmentors import *  # noqa: F403
from .uda import *  # noqa: F403

__all__ = ['BACKBONES', 'HEADS', 'LOSSES', 'NECKS', 'SEGMENTORS', 'UDA', 'build_backbone', 'build_head',
           'build_loss', 'build_neck', 'build_segmentor', 'build_train_model']
