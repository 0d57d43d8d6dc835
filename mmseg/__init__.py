import warnings

from .version import __version__

# mmcv announces its successor whenever it is imported, in every process and every worker
warnings.filterwarnings('ignore', message='On January 1, 2023, MMCV')

__all__ = ['__version__']
