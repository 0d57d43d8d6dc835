from .bad_image_hook import BadImageHook
from .checkpoint_hook import CheckpointHook
from .progress_hook import ProgressHook
from .same_parameters_hook import SameParametersHook
from .stopped_poly_hook import StoppedPolyLrUpdaterHook
from .text_logger_hook import PercentTextLoggerHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = ['BadImageHook', 'CheckpointHook', 'PercentTextLoggerHook', 'ProgressHook', 'SameParametersHook',
           'StoppedPolyLrUpdaterHook', 'UDAVisualizationHook']
