import logging
import warnings

from . import compat
from .version import __version__

compat.install()

# mmcv announces its successor whenever it is imported, in every process and every worker
warnings.filterwarnings('ignore', message='On January 1, 2023, MMCV')
# mmcv imports torch's build tools, which say this where there is a CUDA toolkit but no GPU
logging.getLogger('torch.utils.cpp_extension').addFilter(
    lambda record: not str(record.msg).startswith('No CUDA runtime is found'))

__all__ = ['__version__']
