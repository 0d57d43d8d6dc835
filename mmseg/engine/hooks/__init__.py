from .checkpoint_hook import CheckpointHook
from .corrupt_sample_hook import CorruptSampleHook
from .data_limit_hook import DataLimitHook
from .flat_poly_hook import FlatPolyLrUpdaterHook
from .parameter_sync_hook import ParameterSyncHook
from .progress_hook import ProgressHook
from .pseudo_label_hook import PseudoLabelHook
from .stopped_poly_hook import StoppedPolyLrUpdaterHook
from .text_logger_hook import PercentTextLoggerHook
from .tracker_hooks import MlflowLoggerHook, TensorboardLoggerHook, WandbLoggerHook
from .uda_visualization_hook import UDAVisualizationHook

__all__ = ['CheckpointHook', 'CorruptSampleHook', 'DataLimitHook', 'FlatPolyLrUpdaterHook',
           'MlflowLoggerHook', 'ParameterSyncHook', 'PercentTextLoggerHook', 'ProgressHook',
           'PseudoLabelHook', 'StoppedPolyLrUpdaterHook', 'TensorboardLoggerHook',
           'UDAVisualizationHook', 'WandbLoggerHook']
