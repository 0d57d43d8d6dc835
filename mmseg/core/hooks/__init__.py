from .checkpoint_hook import CheckpointHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = ['CheckpointHook', 'UDAVisualizationHook']
