from .checkpoint_hook import CheckpointHook
from .progress_hook import ProgressHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = ['CheckpointHook', 'ProgressHook', 'UDAVisualizationHook']
